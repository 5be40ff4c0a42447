from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from ssh_keys import SK_ECDSA, TYPES, Certifying, certified, soft_key, text_of

from runner.core.errors import InvalidDocument, Refused, UsageError
from runner.git import signers, sshsig
from runner.git.signers import AllowedSigners, Verdict
from runner.git.ssh_keys import PublicKey, public_key_of
from runner.git.sshsig import Signed

FILE: Final = "plans/allowed_signers"
APPROVAL: Final = "planlock-approval"
NOW: Final = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def private_key(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


ADA: Final = public_key_of(private_key(1))
BOB: Final = public_key_of(private_key(2))


CERTIFICATE: Final = text_of(certified(soft_key("ssh-ed25519"), soft_key("ssh-rsa"), Certifying()))


def read(text: str) -> AllowedSigners:
    return signers.parse(text.encode(), file=FILE)


def problems(data: str | bytes) -> list[tuple[int, str]]:
    data = data.encode() if isinstance(data, str) else data
    with pytest.raises(InvalidDocument) as caught:
        signers.parse(data, file=FILE)
    assert {problem.file for problem in caught.value.problems} == {FILE}
    return [(problem.line, problem.code) for problem in caught.value.problems]


def ada(options: str = f'namespaces="{APPROVAL}"') -> str:
    return f"ada@example.com {options} {ADA.text}\n"


def reason(text: str, *, key: PublicKey = ADA, at: datetime = NOW) -> str:
    verdict = read(text).find(key, namespace=APPROVAL, at=at)
    assert verdict.principal is None
    return verdict.reason


def test_gives_the_principal_of_a_key() -> None:
    """A key counts for its principal in each of its namespaces, among comments and blanks."""
    text = (
        f'# people\n\n \tada@example.com  namespaces="git,{APPROVAL}"\t{ADA.text} laptop of ädä\n'
    )
    listed = read(text)
    for namespace in ("git", APPROVAL):
        assert listed.find(ADA, namespace=namespace, at=NOW) == Verdict(
            principal="ada@example.com", assurance="key"
        )
    assert listed.listed(ADA) == "ada@example.com"
    assert listed.listed(BOB) is None
    assert [entry.line for entry in listed.lines_of(ADA)] == [3]


def test_a_principal_may_have_several_keys() -> None:
    """Two keys of one person name the same principal, so that they are one approval."""
    listed = read(ada() + f'ada@example.com namespaces="{APPROVAL}" {BOB.text}')
    found = {listed.find(key, namespace=APPROVAL, at=NOW).principal for key in (ADA, BOB)}
    assert found == {"ada@example.com"}


def test_an_empty_file_lists_nobody() -> None:
    """Where nobody is listed, no key counts."""
    assert reason("") == f"key {ADA.fingerprint} is not listed in {FILE}"
    assert reason(ada(), key=BOB) == f"key {BOB.fingerprint} is not listed in {FILE}"


def test_A18_the_key_decides_who_it_was(tmp_path: Path) -> None:
    """A commit that ada signed is hers, though its author and .mailmap say that it was bob."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments: str) -> bytes:
        argv = ["git", "-C", str(tmp_path), *arguments]
        return subprocess.run(argv, capture_output=True, check=True, env=env).stdout

    key = tmp_path / "ada"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = PublicKey.from_text(Path(f"{key}.pub").read_text())
    git("init", "-q")
    (tmp_path / ".mailmap").write_text("Bob <bob@example.com> Bob <ada@example.com>\n")
    git("add", ".mailmap")
    who = ["-c", "user.name=Bob", "-c", "user.email=bob@example.com"]
    how = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={key}"]
    git(*who, *how, "commit", "-q", "-S", "-m", "plan")

    commit = git("cat-file", "commit", "HEAD")
    head, _, rest = commit.partition(b"gpgsig ")
    signature, end, rest = rest.partition(b"-----END SSH SIGNATURE-----\n")
    armored = (signature + end).replace(b"\n ", b"\n")
    listed = read(
        f'ada@example.com namespaces="git" {public.text}\n'
        f'bob@example.com namespaces="git" {BOB.text}\n'
    )
    signed_by = sshsig.verify(armored, head + rest, namespace="git")
    assert b"author Bob <bob@example.com>" in head
    assert listed.find(signed_by, namespace="git", at=NOW).principal == "ada@example.com"


@pytest.mark.parametrize(
    "options, expected",
    [
        ('valid-before="20261122Z"', "valid until 2026-11-22T00:00:00Z"),
        ('valid-before="20261122095959Z"', "valid until 2026-11-22T09:59:59Z"),
        ('valid-after="202611221001Z"', "valid from 2026-11-22T10:01:00Z"),
        (
            'valid-after="20250101Z",valid-before="20260101Z"',
            "valid from 2025-01-01T00:00:00Z, valid until 2026-01-01T00:00:00Z",
        ),
    ],
)
def test_A21_key_outside_its_validity(options: str, expected: str) -> None:
    """A key that has ended, was revoked or is not yet valid does not count at the time of use."""
    text = ada(f'namespaces="{APPROVAL}",{options}')
    assert reason(text) == (
        f"key {ADA.fingerprint} is listed for ada@example.com but {expected}, "
        "used at 2026-11-22T10:00:00Z"
    )
    assert read(text).listed(ADA) == "ada@example.com"


def test_A21_the_time_of_use_decides() -> None:
    """Both ends of the validity count as valid, to the second and in any time zone."""
    text = ada(f'namespaces="{APPROVAL}",valid-after="20261122Z",valid-before="20261123Z"')
    start, second = datetime(2026, 11, 22, tzinfo=UTC), timedelta(seconds=1)
    end = start + timedelta(days=1)
    zone = timezone(timedelta(hours=5))
    for at in (start, end, end + timedelta(microseconds=999_999), end.astimezone(zone)):
        assert read(text).find(ADA, namespace=APPROVAL, at=at).principal == "ada@example.com"
    for at in (start - second, end + second, start.replace(tzinfo=zone)):
        assert "but valid from" in reason(text, at=at)
    with pytest.raises(ValueError, match="needs a time zone"):
        read(text).find(ADA, namespace=APPROVAL, at=NOW.replace(tzinfo=None))


def test_A21_a_later_line_can_renew_a_key() -> None:
    """Of several lines for one key, one that is valid in the namespace suffices."""
    old = ada(f'namespaces="{APPROVAL}",valid-before="20260101Z"')
    new = ada(f'namespaces="{APPROVAL}",valid-after="20260601Z"')
    assert read(old + new).find(ADA, namespace=APPROVAL, at=NOW).principal == "ada@example.com"
    gap = reason(old + new, at=datetime(2026, 3, 1, tzinfo=UTC))
    assert "valid until 2026-01-01T00:00:00Z or valid from 2026-06-01T00:00:00Z" in gap
    assert "but valid until" in reason(old + ada('namespaces="git"'))


def test_A41_machine_key_in_the_namespace_of_approvals() -> None:
    """A machine key, listed for planlock-witness only, makes no approval."""
    text = ada('namespaces="planlock-witness"')
    assert reason(text) == (
        f"key {ADA.fingerprint} is listed for ada@example.com but not in namespace {APPROVAL}"
    )


def test_an_authority_signs_nothing_itself() -> None:
    """A certificate authority's key, without a certificate, is nobody's."""
    text = ada(f'CERT-AUTHORITY,namespaces="{APPROVAL}"')
    assert reason(text) == f"key {ADA.fingerprint} is not listed in {FILE}"
    assert read(text).listed(ADA) is None
    assert read(text).lines_of(ADA) == ()


@pytest.mark.parametrize("key_type", TYPES)
def test_every_key_type_counts(key_type: str) -> None:
    """A key of each type is its person's; only what an authenticator holds is worth more."""
    key = PublicKey.from_text(soft_key(key_type).text)
    verdict = read(f'ada namespaces="git" {key.text}').find(key, namespace="git", at=NOW)
    assert verdict.principal == "ada"
    assert verdict.assurance == ("hardware" if key_type.startswith("sk-") else "key")


def test_A41_a_fido_key_is_worth_more_only_where_it_was_touched() -> None:
    """The signature tells what an approval is worth; before it, a touch is taken for granted."""
    key = PublicKey.from_text(soft_key(SK_ECDSA).text)
    listed = read(f'ada namespaces="git" {key.text}')
    found = [
        listed.find(who, namespace="git", at=NOW).assurance
        for who in (key, Signed(key, None, touched=True), Signed(key))
    ]
    assert found == ["hardware", "hardware", "key"]


def test_a_verdict_tells_the_kind_of_refusal() -> None:
    """A key that is not listed for the use, and one out of its time, are told apart."""
    late = ada(f'namespaces="{APPROVAL}",valid-before="20200101Z"')
    for text, code in (
        ("", "key_not_listed"),
        (ada('namespaces="git"'), "key_not_listed"),
        (late, "key_not_valid"),
    ):
        verdict = read(text).find(ADA, namespace=APPROVAL, at=NOW)
        assert (verdict.code, verdict.assurance) == (code, None)


def test_answers_depend_on_the_time_as_told() -> None:
    """Two times are alike where the same lines are valid, and never so with an authority."""
    limited = read(ada(f'namespaces="{APPROVAL}",valid-before="20261122100000Z"'))
    second = timedelta(seconds=1)
    assert limited.as_of(NOW) == limited.as_of(NOW - 9 * second)
    assert limited.as_of(NOW) != limited.as_of(NOW + second)
    certified = read(ada(f'cert-authority,namespaces="{APPROVAL}"'))
    assert certified.as_of(NOW) != certified.as_of(NOW + second)
    assert certified.as_of(NOW) == certified.as_of(NOW.astimezone(timezone(timedelta(hours=5))))


@pytest.mark.parametrize(
    "line, code",
    [
        (f"ada {ADA.text}", "no_namespaces"),
        (f'ada valid-before="20260101Z" {ADA.text}', "no_namespaces"),
        (f'*@example.com namespaces="git" {ADA.text}', "pattern"),
        (f'!ada cert-authority,namespaces="git" {ADA.text}', "pattern"),
        (f'a\\da cert-authority,namespaces="git" {ADA.text}', "pattern"),
        (f'*,bob cert-authority,namespaces="git" {ADA.text}', "shared_key"),
        (f"* cert-authority {ADA.text}", "no_namespaces"),
        (f'!ada namespaces="git" {ADA.text}', "pattern"),
        (f'ada,bob namespaces="git" {ADA.text}', "shared_key"),
        (f'"ada" namespaces="git" {ADA.text}', "line"),
        (f'ädä namespaces="git" {ADA.text}', "principal"),
        (f'ada namespaces="git*" {ADA.text}', "namespace"),
        (f'ada namespaces="!git" {ADA.text}', "namespace"),
        (f'ada namespaces="git, x" {ADA.text}', "namespace"),
        (f'ada namespaces="" {ADA.text}', "namespace"),
        (f'ada namespaces="git,," {ADA.text}', "namespace"),
        (f"ada namespaces=git {ADA.text}", "option"),
        (f'ada namespaces="git", {ADA.text}', "option"),
        (f'ada namespaces="git",,cert-authority {ADA.text}', "option"),
        (f'ada namespaces="git",namespaces="x" {ADA.text}', "option"),
        (f'ada namespaces="git",no-touch-required {ADA.text}', "option"),
        (f'ada namespaces="git",cert-authority="x" {ADA.text}', "option"),
        (f'ada namespaces="git",valid-before {ADA.text}', "option"),
        (f'ada namespaces="gi\\"t" {ADA.text}', "line"),
        (f'ada namespaces="git {ADA.text}', "line"),
        (f'ada namespaces="git",valid-before="20260101" {ADA.text}', "local_time"),
        (f'ada namespaces="git",valid-after="202601011200" {ADA.text}', "local_time"),
        (f'ada namespaces="git",valid-before="20260231Z" {ADA.text}', "timestamp"),
        (f'ada namespaces="git",valid-before="2026010112Z" {ADA.text}', "timestamp"),
        (f'ada namespaces="git",valid-before="" {ADA.text}', "timestamp"),
        (f'ada namespaces="git",valid-after="19700101Z" {ADA.text}', "timestamp"),
        (
            f'ada namespaces="git",valid-after="20260101Z",valid-before="20260101Z" {ADA.text}',
            "window",
        ),
        (f'ada namespaces="git" {ADA.text[:-4]}', "key"),
        (f'ada namespaces="git" {soft_key("ssh-rsa", 3, bits=1024).text}', "key"),
        (f'ada namespaces="git" {CERTIFICATE}', "key"),
        (f'* cert-authority,namespaces="git" {CERTIFICATE}', "key"),
        (f'ada namespaces="git" {ADA.text.replace("ssh-ed25519 ", "ssh-rsa ")}', "key"),
        ('ada namespaces="git" ssh-ed25519', "line"),
        (ADA.text, "line"),
        ("ada", "line"),
        (f'ada namespaces="git" {ADA.text}\r', "characters"),
        (f'ada namespaces="git" {ADA.text} a\u202eda', "characters"),
        (f'# \u200bada namespaces="git" {ADA.text}', "characters"),
        (f'ada\u00a0namespaces="git" {ADA.text}', "characters"),
    ],
)
def test_refuses_a_line_that_could_be_read_in_two_ways(line: str, code: str) -> None:
    """Each line that is wrong, too broad or ambiguous is refused with its number."""
    assert problems(f"# people\n{line}\n") == [(2, code)]


def test_refuses_all_bad_lines_at_once() -> None:
    """Every bad line is reported, in order, each with a fix; one bad line voids the file."""
    text = f'ada {ADA.text}\n{ada()}*.com namespaces="git" {BOB.text}\n'.encode() + b"\xff\n"
    assert problems(text) == [(1, "no_namespaces"), (3, "pattern"), (4, "encoding")]
    with pytest.raises(InvalidDocument, match=r"allowed_signers:1:0: .*no namespaces") as caught:
        signers.parse(text, file=FILE)
    assert all(problem.fix for problem in caught.value.problems)


def test_refuses_a_key_of_two_principals() -> None:
    """A key that names two people names nobody, even in different namespaces."""
    text = ada() + f'bob@example.com namespaces="git" {ADA.text}\n'
    assert problems(text) == [(2, "shared_key")]


@pytest.mark.parametrize("swapped", [False, True])
def test_refuses_a_key_that_is_an_authority_too(swapped: bool) -> None:  # noqa: FBT001 - pytest passes by name
    """A key that certifies and is a key of its own would mean two things, whoever it names."""
    lines = [f'*@example.com cert-authority,namespaces="git" {ADA.text}\n', ada()]
    assert problems("".join(reversed(lines) if swapped else lines)) == [(2, "ambiguous_key")]


def test_an_authority_may_have_several_lines() -> None:
    """One authority can vouch for the people of two domains, each with a line."""
    lines = [
        f'*@{name} cert-authority,namespaces="git" {ADA.text}\n' for name in ("a.com", "b.com")
    ]
    assert len(read("".join(lines)).entries) == 2


def test_adds_a_line_once() -> None:
    """A line is appended, the file stays as it was before it, and a second time nothing changes."""
    before = b"# people"
    after = signers.add_line(before, "ada@example.com", ["git", APPROVAL], ADA)
    assert after == before + f'\nada@example.com namespaces="git,{APPROVAL}" {ADA.text}\n'.encode()
    assert signers.add_line(after, "ada@example.com", ["git", APPROVAL], ADA) == after
    assert signers.add_line(after, "ada@example.com", ["git"], ADA) == after
    more = signers.add_line(after, "ada@example.com", ["planlock-run"], ADA)
    assert len(signers.parse(more, file=FILE).entries) == 2


def test_adding_does_not_bring_back_a_revoked_key() -> None:
    """A key whose line limits it in time is not made valid again by adding it."""
    text = ada(f'namespaces="{APPROVAL}",valid-before="20260101Z"').encode()
    with pytest.raises(Refused, match="line 1 says valid until 2026-01-01T00:00:00Z"):
        signers.add_line(text, "ada@example.com", [APPROVAL], ADA)
    renewed = text + ada().encode()
    assert signers.add_line(renewed, "ada@example.com", [APPROVAL], ADA) == renewed


def test_adding_refuses_a_key_of_another_principal() -> None:
    """A key that is listed for one person cannot be added for another."""
    with pytest.raises(InvalidDocument, match="so it names nobody"):
        signers.add_line(ada().encode(), "bob@example.com", [APPROVAL], ADA)


@pytest.mark.parametrize(
    "principal",
    [
        "#ada",
        f'bob namespaces="git" {BOB.text}',
        f'bob namespaces="git" {BOB.text}\nada',
        " ada",
        "",
    ],
)
def test_adding_refuses_a_name_that_is_more_than_a_name(principal: str) -> None:
    """A name that carries a key, an option or a line end is refused."""
    with pytest.raises((UsageError, InvalidDocument)):
        signers.add_line(b"", principal, [APPROVAL], ADA)


@given(data=st.binary(max_size=200) | st.text('ada "=,\t\n#ssh-Z0', max_size=80).map(str.encode))
def test_noise_raises_nothing_but_invalid_document(data: bytes) -> None:
    """Whatever the bytes, they are read or refused as a document, and list no key of ours."""
    try:
        listed = signers.parse(data, file=FILE)
    except InvalidDocument:
        return
    assert listed.find(ADA, namespace=APPROVAL, at=NOW).principal is None
