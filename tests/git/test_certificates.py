from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ssh_keys import (
    FOREVER,
    SK_ECDSA,
    SK_ED25519,
    TYPES,
    Certifying,
    SoftKey,
    certified,
    packed,
    signature_of,
    soft_key,
    text_of,
)

from runner.git import signers, sshsig
from runner.git.certificates import Certificate, Credential
from runner.git.signers import Verdict
from runner.git.ssh_keys import PublicKey
from runner.git.sshsig import BadSignature, Signed

APPROVAL: Final = "planlock-approval"
MESSAGE: Final = b"decision: approve\n"
ADA: Final = "ada@example.com"
KEY: Final = soft_key("ssh-ed25519", 1)
AUTHORITY: Final = soft_key("ssh-ed25519", 2)
OTHER: Final = soft_key("ssh-ed25519", 3)
NOW: Final = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)


def blob(
    *,
    key: SoftKey = KEY,
    authority: SoftKey = AUTHORITY,
    sign: Callable[[bytes], bytes] | None = None,
    **what: Any,
) -> bytes:
    return certified(key, authority, Certifying(**what), sign=sign)


def shown(**what: Any) -> Credential:
    return Credential.from_blob(blob(**what))


def refusal(**what: Any) -> str:
    return refused(blob(**what))


def refused(data: bytes) -> str:
    with pytest.raises(ValueError, match=r"certificate|key") as caught:
        Credential.from_blob(data)
    return str(caught.value)


def vouching(who: str = "*@example.com", options: str = "", authority: SoftKey = AUTHORITY) -> str:
    return f'{who} cert-authority,namespaces="{APPROVAL}"{options} {authority.text}\n'


def plain(who: str = ADA, options: str = f'namespaces="{APPROVAL}"') -> str:
    return f"{who} {options} {KEY.text}\n"


def find(text: str, who: Credential, *, at: datetime = NOW, namespace: str = APPROVAL) -> Verdict:
    listed = signers.parse(text.encode(), file="allowed_signers")
    return listed.find(who, namespace=namespace, at=at)


def seconds(at: datetime) -> int:
    return int(at.timestamp())


@pytest.mark.parametrize("authority", TYPES)
@pytest.mark.parametrize("key_type", TYPES)
def test_every_key_type_certifies_every_other(key_type: str, authority: str) -> None:
    """A signature that shows a certificate tells the certified key and who certified it."""
    key, by = soft_key(key_type), soft_key(authority, 2)
    made = signature_of(blob(key=key, authority=by), key.sign, MESSAGE, namespace=APPROVAL)
    signed = sshsig.verify(made, MESSAGE, namespace=APPROVAL)
    assert signed.key == PublicKey.from_blob(key.blob)
    assert signed.certificate is not None
    assert signed.certificate.authority == PublicKey.from_blob(by.blob)
    assert find(vouching(authority=by), signed) == Verdict(
        principal=ADA, assurance="hardware" if key.hardware else "key"
    )


def test_reads_what_ssh_keygen_certifies(tmp_path: Path) -> None:
    """Each field of a certificate by ssh-keygen is read, and its signature counts."""
    key, authority = KEY.save(tmp_path / "key"), AUTHORITY.save(tmp_path / "authority")
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-I", "ada's laptop", "-n", f"{ADA},root"]
    argv += ["-z", "42", "-V", "20260101000000Z:20270101000000Z", "-O", "clear"]
    argv += ["-O", "extension:zz@example.com", "-O", "permit-pty", f"{key}.pub"]
    subprocess.run(argv, check=True)
    text = (tmp_path / "key-cert.pub").read_text()
    certificate = Credential.from_text(text).certificate
    assert certificate is not None
    assert (certificate.serial, certificate.key_id) == (42, "ada's laptop")
    assert certificate.principals == (ADA, "root")
    assert certificate.window == "valid from 2026-01-01T00:00:00Z until 2027-01-01T00:00:00Z"
    assert certificate.key.blob == KEY.blob
    assert Credential.from_text(text).text == " ".join(text.split()[:2])
    assert str(certificate) == (
        f'certificate "ada\'s laptop" (serial 42) of key {certificate.key.fingerprint}'
    )
    (tmp_path / "message").write_bytes(MESSAGE)
    argv = ["ssh-keygen", "-q", "-Y", "sign", "-n", APPROVAL, "-f", f"{key}-cert.pub"]
    subprocess.run([*argv, str(tmp_path / "message")], check=True)
    made = (tmp_path / "message.sig").read_bytes()
    signed = sshsig.verify(made, MESSAGE, namespace=APPROVAL)
    assert signed == Signed(certificate.key, certificate)
    assert find(vouching(), signed).principal == ADA


@pytest.mark.parametrize(
    "what, expected",
    [
        ({"kind": 2}, "for hosts, not for people"),
        ({"kind": 0}, "for hosts, not for people"),
        ({"principals": ()}, "names no principal"),
        ({"principals": [b"x"] * 257}, "more than 256 principals"),
        ({"principals": [b"\xff"]}, "principal is not UTF-8"),
        ({"key_id": b"\xff"}, "key id is not UTF-8"),
        ({"critical": {b"force-command": b"ls"}}, "that are not known: force-command"),
        ({"critical": {b"verify-required": b""}}, "that are not known: verify-required"),
        ({"extensions": [b"b", b"a"]}, "not in order, each once"),
        ({"extensions": [b"a", b"a"]}, "not in order, each once"),
        ({"reserved": b"x"}, "reserved field"),
    ],
)
def test_refuses_a_certificate_that_could_never_count(what: dict[str, Any], expected: str) -> None:
    """What no policy of ours can make count is refused with its reason, though rightly signed."""
    assert expected in refusal(**what)


@pytest.mark.parametrize(
    "authority, how, expected",
    [
        (soft_key(SK_ED25519), {"flags": 0}, "the FIDO key was not touched"),
        (soft_key(SK_ECDSA), {"flags": 4}, "the FIDO key was not touched"),
        (soft_key("ssh-rsa"), {"signature_type": b"ssh-rsa"}, "'ssh-rsa' does not count"),
        (soft_key("ecdsa-sha2-nistp256"), {"pad": b"\0\0"}, "superfluous leading zeros"),
        (soft_key("ssh-rsa", 3, bits=1024), {}, "1024 bits, not 2048"),
    ],
)
def test_A23_an_authority_signs_as_strictly_as_a_person(
    authority: SoftKey, how: dict[str, Any], expected: str
) -> None:
    """SHA-1, a FIDO key without touch, a short key and padding are refused in it too."""
    said = refusal(authority=authority, sign=lambda data: authority.sign(data, **how))
    assert said.startswith("certificate's authority: ")
    assert expected in said


def test_an_authority_is_no_certificate() -> None:
    """A chain of certificates is refused, and so is a signature by another key."""
    certificate = text_of(blob()).split()[0].encode()
    chained = SoftKey(certificate.decode(), AUTHORITY.private, (b"n", *KEY.fields))
    assert "authority: key type 'ssh-ed25519-cert-v01@openssh.com' is not known" in refusal(
        authority=chained, sign=AUTHORITY.sign
    )
    assert "does not match" in refusal(sign=OTHER.sign)


def test_a_key_is_no_certificate() -> None:
    """A bare key where a certificate is wanted is refused."""
    with pytest.raises(ValueError, match="certificate type 'ssh-ed25519' is not known"):
        Certificate.from_blob(KEY.blob)


def test_A18_only_the_certified_key_signs_for_its_certificate() -> None:
    """A signature by another key that shows ada's certificate is refused."""
    made = signature_of(blob(), OTHER.sign, MESSAGE, namespace=APPROVAL)
    with pytest.raises(BadSignature, match="does not match what was signed"):
        sshsig.verify(made, MESSAGE, namespace=APPROVAL)


@given(data=st.data())
def test_any_changed_bit_of_a_certificate_is_refused(data: st.DataObject) -> None:
    """Nothing in a certificate can be changed, cut off or added after it was signed."""
    sound = blob()
    place = data.draw(st.integers(0, len(sound) - 1))
    changed = bytearray(sound)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    for bad in (bytes(changed), sound[:place], sound + b"\0"):
        assert refused(bad)


@pytest.mark.parametrize(
    "line, expected",
    [
        (vouching(), ""),
        (vouching(ADA), ""),
        (vouching("a?a@*"), ""),
        (vouching("*"), ""),
        (vouching("bob@example.com"), "is not listed for ada@example.com"),
        (vouching("*@example.org"), "is not listed for ada@example.com"),
        (vouching("ADA@example.com"), "is not listed for ada@example.com"),
        (vouching("[a]da@example.com"), "is not listed for ada@example.com"),
        (vouching(authority=OTHER), "is not listed as cert-authority"),
        (plain(), "is not listed as cert-authority"),
        (f'* namespaces="{APPROVAL}" {AUTHORITY.text}'.replace("*", ADA), "as cert-authority"),
        (
            vouching(options=',valid-before="20261122095959Z"'),
            "but valid until 2026-11-22T09:59:59Z",
        ),
        (vouching(options=',valid-after="20261122100001Z"'), "but valid from 2026-11-22T10:00:01Z"),
        (vouching().replace(APPROVAL, "git"), f"but not in namespace {APPROVAL}"),
    ],
)
def test_a_line_says_for_whom_an_authority_vouches(line: str, expected: str) -> None:
    """The authority's key, its principals, namespaces and validity all must fit."""
    verdict = find(line, shown())
    assert verdict.principal == (None if expected else ADA)
    assert expected in verdict.reason


@pytest.mark.parametrize(
    "principals, text, expected",
    [
        ([b"ada@example.com", b"root"], vouching(), "ada@example.com"),
        ([b"root", b"ada@example.com", b"ada@example.com"], vouching(), "ada@example.com"),
        ([b"ada@example.com", b"bob@example.com"], vouching(), None),
        ([b"ada@example.com", b"bob@example.com"], vouching(ADA), "ada@example.com"),
        ([b"ada@example.com", b"bob@x.org"], vouching() + vouching("*@x.org"), None),
        ([b"root"], vouching(), None),
        ([b"*@example.com"], vouching(), None),
        ([b"ada bob"], vouching("*"), None),
        ([b"ada,bob"], vouching("*"), None),
        ([b"ad\xc3\xa4"], vouching("*"), None),
        ([b"ada\n"], vouching("*"), None),
    ],
)
def test_A11_a_certificate_is_one_persons(
    principals: list[bytes], text: str, expected: str | None
) -> None:
    """Of its principals exactly one, an exact name, must be the authority's to vouch for."""
    who = shown(principals=principals)
    verdict = find(text, who)
    assert verdict.principal == expected
    assert signers.parse(text.encode(), file="x").listed(who) == expected
    assert bool(verdict.reason) == (expected is None)
    assert verdict.code == ("" if expected else "key_not_listed")


def test_A21_a_certificate_out_of_its_time() -> None:
    """It counts from its first second until right before its last, and stays that person's."""
    start, end = NOW, NOW + timedelta(hours=8)
    who = shown(valid_after=seconds(start), valid_before=seconds(end))
    for at, counts in (
        (start - SECOND, False),
        (start, True),
        (end - SECOND, True),
        (end - timedelta(microseconds=1), True),
        (end, False),
    ):
        assert (find(vouching(), who, at=at).principal == ADA) is counts
    verdict = find(vouching(), who, at=end)
    assert verdict.code == "key_not_valid"
    assert verdict.reason.endswith(
        "is listed for ada@example.com but valid from 2026-11-22T10:00:00Z"
        " until 2026-11-22T18:00:00Z, used at 2026-11-22T18:00:00Z"
    )
    assert signers.parse(vouching().encode(), file="x").listed(who) == ADA


def test_times_beyond_every_calendar() -> None:
    """A certificate may hold forever, or from a time that no calendar has."""
    assert Certificate.from_blob(blob()).window == "valid until forever"
    never = shown(valid_after=FOREVER - 1, valid_before=FOREVER)
    assert "valid from 9999-12-31" in find(vouching(), never).reason
    reversed_ = shown(valid_after=seconds(NOW) + 1, valid_before=seconds(NOW))
    assert find(vouching(), reversed_).principal is None


@pytest.mark.parametrize(
    "line, expected",
    [
        (plain(), ""),
        (plain(options='namespaces="git"'), ""),
        (
            plain(options=f'namespaces="{APPROVAL}",valid-before="20200101Z"'),
            "its key is listed as",
        ),
        (plain(options='namespaces="git",valid-before="20200101Z"'), "its key is listed as"),
        (plain("bob@example.com"), "but its key is listed for bob@example.com"),
    ],
)
def test_A21_a_line_of_the_certified_key_revokes_its_certificates(line: str, expected: str) -> None:
    """A certificate counts no longer than a line of its own key, and for nobody else."""
    for text in (line + vouching(), vouching() + line):
        verdict = find(text, shown())
        assert verdict.principal == (None if expected else ADA)
        assert expected in verdict.reason


def test_a_renewed_key_renews_its_certificates() -> None:
    """Of several lines for the certified key, one that is valid in the namespace suffices."""
    old = plain(options=f'namespaces="{APPROVAL}",valid-before="20200101Z"')
    other = plain(options='namespaces="git"')
    assert find(old + plain() + vouching(), shown()).principal == ADA
    assert find(old + other + vouching(), shown()).principal is None


def test_A41_an_authority_for_machines_certifies_no_approval() -> None:
    """Whom an authority certifies counts in the namespaces of its line alone."""
    text = vouching().replace(APPROVAL, "planlock-witness")
    assert find(text, shown()).code == "key_not_listed"
    assert find(text, shown(), namespace="planlock-witness").principal == ADA


@given(data=st.binary(max_size=300))
def test_noise_is_no_certificate(data: bytes) -> None:
    """Whatever the bytes behind the type, the answer is a ValueError with a reason."""
    assert refused(packed(b"ssh-ed25519-cert-v01@openssh.com") + data)
