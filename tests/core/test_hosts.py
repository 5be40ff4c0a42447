"""How hosts are declared and asked for, and which addresses are nobody's neighbours."""

from __future__ import annotations

import pytest

from runner import schemas
from runner.core import hosts, validation
from runner.core.errors import InvalidDocument, StepFailed
from runner.core.hosts import Host


@pytest.mark.parametrize(
    "text,told",
    [
        ("pypi.org", "pypi.org:443"),
        ("pypi.org:443", "pypi.org:443"),
        ("nexus:8443", "nexus:8443"),
        ("xn--bcher-kva.example:1", "xn--bcher-kva.example:1"),
        ("10.0.0.5:65535", "10.0.0.5:65535"),
        ("v1.2a", "v1.2a:443"),
    ],
)
def test_a_declared_host_has_a_port(text: str, told: str) -> None:
    """A host without a port means that of https."""
    assert str(hosts.declared(text)) == told


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "a.", ".a", "a..b", "-a.org", "a-.org", "a_b", "A.org", "a b", "a\n", "*.org"),
        *("a:", "a:0", "a:65536", "a:0443", "a:+1", "a:1:2", "a:٤٤٣", "a@b", "a/b", "[::1]:443"),
        *("127.1", "2130706433", "0x7f.1", "0x7f000001", "1.2.3.4.5", "010.0.0.1", "256.1.1.1"),
        *("a.0x", "a.1", "x" * 64, ".".join(["x" * 50] * 6), "::1", "\uff41.org"),
    ],
)
def test_what_names_no_single_host(text: str) -> None:
    """Wildcards, other spellings of addresses, and broken names are no hosts."""
    with pytest.raises(StepFailed, match="which is no host"):
        hosts.declared(text)


DECLARED = [hosts.declared(text) for text in ("pypi.org", "10.0.0.5:8443")]


@pytest.mark.parametrize("asked", ["pypi.org:443", "PyPI.org:443", "10.0.0.5:8443"])
def test_asking_for_a_declared_host(asked: str) -> None:
    """The full spelling is found, in any case of letters."""
    assert hosts.allowed(DECLARED, asked) in DECLARED


@pytest.mark.parametrize(
    "asked",
    [
        *(
            "pypi.org",
            "pypi.org:",
            "pypi.org:80",
            "pypi.org:0443",
            "pypi.org:443 ",
            "pypi.org.:443",
        ),
        *(
            "evil-pypi.org:443",
            "pypi.org.evil:443",
            "a.pypi.org:443",
            "*.org:443",
            "org:443",
            ":443",
        ),
        *("a@pypi.org:443", "pypi.org:443@evil.org:443", "pypi.org:443/", "pypi.org%00:443"),
        *("10.0.0.5:443", "10.0.0.05:8443", "167772165:8443", "0xa.5:8443", "10.5:8443"),
        *("[::ffff:10.0.0.5]:8443", "pypi.org\n:443", "\u0440ypi.org:443", "", "pypi.or\u212a:443"),
    ],
)
def test_D05_asking_in_another_spelling(asked: str) -> None:
    """Suffixes, ports, users, wildcards, numbers and look-alikes are other hosts."""
    assert hosts.allowed(DECLARED, asked) is None


def test_D05_a_letter_that_becomes_another_in_lower_case() -> None:
    """The Kelvin sign is no k, although its lower case is."""
    assert "\u212a".lower() == "k"
    assert hosts.allowed([Host(name="k", port=1)], "\u212a:1") is None
    assert hosts.allowed([Host(name="k", port=1)], "K:1")


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "151.101.0.223",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "172.32.0.1",
    ],
)
def test_public_addresses(address: str) -> None:
    """Everybody's addresses may be connected to for any declared host."""
    assert hosts.public(address)
    assert not hosts.refusal(DECLARED, address, 443)


INWARD = [
    *("127.0.0.1", "127.8.9.1", "10.0.0.5", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("100.64.0.1", "198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.0.0.1"),
]
NEVER = [
    *("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192"),
    *("0.0.0.1", "0.1.2.3", "224.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b:1::1", "2002:7f00:1::1", "2001:0:7f00:1::1", "2001:db8::1", "2001:2::1", "3fff::1"),
    *("fd00:ec2::254", "fd20:ce::254", "fc00::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
    *("2606:4700::1111%1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", ""),
]


@pytest.mark.parametrize("address", INWARD + NEVER)
def test_D05_addresses_that_are_not_public(address: str) -> None:
    """Private, local, reserved and embedded addresses are refused for a name."""
    assert not hosts.public(address)
    assert address in hosts.refusal(DECLARED, address, 443)


@pytest.mark.parametrize("address", INWARD)
def test_a_private_address_that_is_declared(address: str) -> None:
    """A private address is connected to at the very port with which it is declared."""
    declared = [hosts.declared(f"{address}:8443")]
    assert not hosts.refusal(declared, address, 8443)
    assert f"{address}:443 too" in hosts.refusal(declared, address, 443)


@pytest.mark.parametrize("address", NEVER)
def test_D05_addresses_that_cannot_be_declared(address: str) -> None:
    """Link-local ones, metadata services and all special IPv6 ones are refused, declared or not."""
    assert "never" in hosts.refusal([Host(name=address, port=443)], address, 443)


@pytest.mark.parametrize(
    "text,wrong,fix",
    [
        ("pypi.org.", "ends with a dot", "write pypi.org"),
        ("pypi.org.:443", "ends with a dot", "write pypi.org:443"),
        ("pypi.org:99999", "no port from 1 to 65535", "write pypi.org"),
        ("PyPI.org:80", "lower case", "write pypi.org:80"),
        ("https://PyPI.org:8443/simple", "no scheme", "write pypi.org:8443"),
        ("https://a b/", "no scheme", "write it like pypi.org or pypi.org:443"),
        ("*.org", "no wildcards", "write it like pypi.org"),
        ("127.1", "no address of four decimal numbers", "write it like 192.0.2.7"),
        ("a_b", "is no host", "write it like pypi.org"),
        ("\u212a.org", "is no host", "write it like pypi.org"),
        *(
            (text, "never connected to", "name a host, or an address of one machine")
            for text in ("169.254.169.254", "169.254.169.254:80", "168.63.129.16", "0.1.2.3")
        ),
    ],
)
def test_D05_what_is_wrong_with_a_host(text: str, wrong: str, fix: str) -> None:
    """It is said in a few words, with what to write instead."""
    found = hosts.trouble(text)
    assert found is not None
    assert wrong in found[0]
    assert found[1] == fix


@pytest.mark.parametrize("text", ["pypi.org", "nexus:8443", "10.0.0.5:80", "127.0.0.1", "8.8.8.8"])
def test_hosts_that_a_command_may_reach(text: str) -> None:
    """Names and addresses of one machine are in order, public or not."""
    assert hosts.trouble(text) is None


@pytest.mark.parametrize(
    "text,code,wrong",
    [
        ("PyPI.org", "wrong_format", "has capitals: a host is in lower case"),
        ("https://pypi.org", "wrong_format", "is a URL"),
        ("*.org", "wrong_format", "has a wildcard: no wildcards"),
        ("pypi.org.", "unusable_host", "ends with a dot"),
        ("169.254.169.254", "unusable_host", "is never connected to"),
    ],
)
def test_a_plan_names_no_host_that_never_works(text: str, code: str, wrong: str) -> None:
    """It is told once, whether the schema knows it or not."""
    step = "{id: s, step_type: run_command, description: D, input: {command: x, network: [HOST]}}"
    plan = f"version: 1\nid: x\ngoal: G\nsteps:\n  - {step}\n".replace("HOST", f"'{text}'")
    with pytest.raises(InvalidDocument) as caught:
        validation.read_plan(plan.encode(), file="x", schema=schemas.load("plan"))
    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == (code, "steps[0].input.network[0]")
    assert wrong in problem.message
    assert problem.fix
