from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from ssh_keys import packed

from runner.git import ssh_keys, sshsig
from runner.git.ssh_keys import PublicKey
from runner.git.sshsig import BadSignature, Signed

APPROVAL: Final = "planlock-approval"
MESSAGE: Final = b"decision: approve\n"
PRIVATE_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ARMORED: Final = sshsig.sign_in_process(PRIVATE_KEY, MESSAGE, namespace=APPROVAL)
GROUP_ORDER: Final = 2**252 + 27742317777372353535851937790883648493

MakeKey = Callable[..., Path]


def wire_of(armored: bytes) -> bytes:
    return base64.b64decode(b"".join(armored.splitlines()[1:-1]))


def reason(armored: bytes, message: bytes = MESSAGE, *, namespace: str = APPROVAL) -> str:
    with pytest.raises(BadSignature) as caught:
        sshsig.verify(armored, message, namespace=namespace)
    return caught.value.reason


def forged(**changes: bytes) -> bytes:
    """Return an armored signature that is right in all but the `changes`."""
    parts = {
        "version": b"\0\0\0\1",
        "key": ssh_keys.public_key_of(PRIVATE_KEY).blob,
        "namespace": APPROVAL.encode(),
        "reserved": b"",
        "hash_name": b"sha512",
        "signature_type": b"ssh-ed25519",
        "trailer": b"",
        "rest": b"",
    } | changes
    context = (parts["namespace"], parts["reserved"], parts["hash_name"])
    digest = hashlib.new(parts["hash_name"].decode(), MESSAGE).digest()
    made = PRIVATE_KEY.sign(b"SSHSIG" + packed(*context, digest))
    inner = packed(parts["signature_type"], parts.get("signature", made)) + parts["trailer"]
    fields = packed(parts["key"], *context, inner)
    return sshsig.armor(b"SSHSIG" + parts["version"] + fields + parts["rest"])


@pytest.fixture
def make_key(tmp_path: Path) -> MakeKey:
    def make(name: str = "key", kind: str = "ed25519", bits: str = "256") -> Path:
        path = tmp_path / name
        argv = ["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-C", "ada", "-f", str(path)]
        subprocess.run(argv, check=True)
        return path

    return make


def ssh_sign(key: Path, message: bytes, namespace: str, *options: str) -> bytes:
    argv = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(key), *options]
    return subprocess.run(argv, input=message, capture_output=True, check=True).stdout


def public_key(key: Path) -> PublicKey:
    return PublicKey.from_text(key.with_suffix(".pub").read_text())


@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_verifies_what_ssh_keygen_signed(make_key: MakeKey, hash_name: str, size: int) -> None:
    """A signature by ssh-keygen over any message, with both hashes, gives its key."""
    key = make_key()
    armored = ssh_sign(key, b"x" * size, APPROVAL, f"-Ohashalg={hash_name}")
    assert sshsig.verify(armored, b"x" * size, namespace=APPROVAL) == Signed(public_key(key))
    assert sshsig.parse(armored).hash_algorithm == hash_name


def test_signs_byte_for_byte_as_ssh_keygen(make_key: MakeKey) -> None:
    """Signing in process and ssh-keygen with the same key give the same bytes."""
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    key = make_key()
    private_key = load_ssh_private_key(key.read_bytes(), password=None)
    assert isinstance(private_key, Ed25519PrivateKey)
    for length in (1, 3, 45, 46, 47, 48, 49, 90):
        ours = sshsig.sign_in_process(private_key, MESSAGE, namespace="n" * length)
        assert ours == ssh_sign(key, MESSAGE, "n" * length)


def test_ssh_keygen_accepts_ours(tmp_path: Path) -> None:
    """`ssh-keygen -Y verify` and `-Y check-novalidate` accept what is signed in process."""
    key = ssh_keys.public_key_of(PRIVATE_KEY)
    signature, allowed = tmp_path / "message.sig", tmp_path / "allowed"
    signature.write_bytes(ARMORED)
    allowed.write_text(f'runner namespaces="{APPROVAL}" {key.text}\n')
    common = ["-n", APPROVAL, "-s", str(signature)]
    for arguments in (["check-novalidate"], ["verify", "-I", "runner", "-f", str(allowed)]):
        argv = ["ssh-keygen", "-Y", *arguments, *common]
        done = subprocess.run(argv, input=MESSAGE, capture_output=True, check=True)
        assert key.fingerprint in done.stdout.decode()


def test_git_accepts_our_commit_signature(tmp_path: Path) -> None:
    """`git verify-commit` accepts a commit that is signed in process."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments: str, data: bytes = b"") -> str:
        argv = ["git", "-C", str(tmp_path), *arguments]
        return (
            subprocess.run(argv, input=data, capture_output=True, check=True, env=env)
            .stdout.decode()
            .strip()
        )

    git("init", "-q")
    tree = git("mktree")
    head = f"tree {tree}\nauthor R <r@x> 1 +0000\ncommitter R <r@x> 1 +0000\n".encode()
    armored = sshsig.sign_in_process(PRIVATE_KEY, head + b"\nrun\n", namespace="git")
    header = b"gpgsig " + armored.rstrip(b"\n").replace(b"\n", b"\n ") + b"\n"
    commit = git("hash-object", "-t", "commit", "-w", "--stdin", data=head + header + b"\nrun\n")
    allowed = tmp_path / "allowed"
    allowed.write_text(f"runner {ssh_keys.public_key_of(PRIVATE_KEY).text}\n")
    git("-c", f"gpg.ssh.allowedSignersFile={allowed}", "verify-commit", commit)


def test_fingerprint_and_text_are_as_ssh_keygen_prints(make_key: MakeKey) -> None:
    """Fingerprint and text of a key are those of `ssh-keygen -l` and of the .pub file."""
    for name, kind, bits in (("a", "ed25519", "256"), ("b", "ecdsa", "384"), ("c", "rsa", "2048")):
        path = make_key(name, kind, bits)
        listed = subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, check=True)
        key = public_key(path)
        assert key.fingerprint == listed.stdout.decode().split()[1]
        assert f"{key.text} ada\n" == path.with_suffix(".pub").read_text()
        assert PublicKey.from_text(key.text) == key


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", "one line"),
        ("ssh-ed25519", "one line"),
        ("ssh-ed25519 AAAA\nssh-ed25519 AAAA", "one line"),
        ("ssh-ed25519 *", "not base64"),
        ("ssh-ed25519 AAAA", "cut off"),
        ("ssh-dss " + base64.b64encode(packed(b"ssh-dss")).decode(), "'ssh-dss' is not known"),
        ("ssh-rsa " + ssh_keys.public_key_of(PRIVATE_KEY).text.split()[1], "its line 'ssh-rsa'"),
        (
            "ssh-ed25519 " + base64.b64encode(packed(b"ssh-ed25519", b"1" * 31)).decode(),
            "31 bytes, not 32",
        ),
        (
            "ssh-ed25519 " + base64.b64encode(packed(b"ssh-ed25519", b"1" * 32) + b"0").decode(),
            "trailing",
        ),
        ("x " + base64.b64encode(packed(b"\xff")).decode(), "not UTF-8"),
    ],
)
def test_refuses_what_is_no_public_key(text: str, expected: str) -> None:
    """A text that is not exactly one key of a known type is refused with the reason."""
    with pytest.raises(ValueError, match=expected):
        PublicKey.from_text(text)


def test_forging_nothing_gives_a_valid_signature() -> None:
    """The helper that the refusals below rely on makes a valid signature by default."""
    assert forged() == ARMORED


def test_A23_signature_of_another_namespace() -> None:
    """A commit signature (namespace git) is no approval, and no namespace contains another."""
    for namespace in ("git", "planlock-approval2", "planlock", "*"):
        armored = sshsig.sign_in_process(PRIVATE_KEY, MESSAGE, namespace=namespace)
        assert reason(armored) == f"signed in namespace {namespace!r}, not 'planlock-approval'"
    assert "no namespace" in reason(forged(namespace=b""), namespace="")
    assert "not UTF-8" in reason(forged(namespace=b"\xff"))
    with pytest.raises(ValueError, match="needs a namespace"):
        sshsig.sign_in_process(PRIVATE_KEY, MESSAGE, namespace="")


@pytest.mark.parametrize(
    "armored, expected",
    [
        (forged(rest=b"\0"), "signature has 1 trailing bytes"),
        (forged(trailer=b"\0"), "1 trailing bytes"),
        (forged(key=ssh_keys.public_key_of(PRIVATE_KEY).blob + b"\0"), "1 trailing bytes"),
        (ARMORED + b"\n", "after the signature's footer"),
        (ARMORED + ARMORED, "after the signature's footer"),
        (ARMORED.rstrip(b"\n") + b" ", "after the signature's footer"),
    ],
)
def test_A23_trailing_bytes(armored: bytes, expected: str) -> None:
    """Bytes after the signature, or after any part in it, make it invalid."""
    assert expected in reason(armored)


@pytest.mark.parametrize("name", ["sha1", "md5", "sha384", "sha3_512"])
def test_A23_other_hash(name: str) -> None:
    """A signature over another hash than sha256 or sha512 is refused, though it is right."""
    assert reason(forged(hash_name=name.encode())) == (
        f"hash algorithm {name!r} is not sha256 or sha512"
    )


def test_A23_unknown_key_type() -> None:
    """A key type that OpenSSH does not sign with, or with a misleading name, is refused."""
    for name in (b"ssh-dss", b"ssh-dss-cert-v01@openssh.com", b"SSH-ED25519", b"rsa-sha2-512", b""):
        assert "is not known" in reason(forged(key=packed(name, b"1" * 32)))
    assert "not UTF-8" in reason(forged(key=packed(b"\xff", b"1" * 32)))


@pytest.mark.parametrize("kind, bits", [("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521")])
def test_verifies_ecdsa_of_ssh_keygen(make_key: MakeKey, kind: str, bits: str) -> None:
    """A signature by ssh-keygen with each curve gives its key."""
    key = make_key("other", kind, bits)
    armored = ssh_sign(key, MESSAGE, APPROVAL)
    assert sshsig.verify(armored, MESSAGE, namespace=APPROVAL).key == public_key(key)


def test_verifying_ed25519_takes_well_under_a_millisecond() -> None:
    """A hundred signatures are verified in less than 50 ms, in the best of five tries."""

    def measured() -> float:
        start = time.perf_counter()
        for _ in range(100):
            sshsig.verify(ARMORED, MESSAGE, namespace=APPROVAL)
        return time.perf_counter() - start

    assert min(measured() for _ in range(5)) < 0.05


@pytest.mark.parametrize(
    "armored, expected",
    [
        (forged(version=bytes(4)), "not SSHSIG version 1"),
        (forged(version=b"\0\0\0\2"), "not SSHSIG version 1"),
        (forged(reserved=b"x"), "reserved"),
        (forged(signature_type=b"rsa-sha2-512"), "does not count for key type ssh-ed25519"),
        (forged(signature_type=b"\xff"), "not UTF-8"),
        (forged(signature=b"1" * 63), "63 bytes, not 64"),
        (forged(signature=b"1" * 64), "does not match"),
        (forged(key=packed(b"ssh-ed25519", b"1" * 33)), "33 bytes, not 32"),
        (sshsig.armor(b""), "not SSHSIG version 1"),
        (sshsig.armor(wire_of(ARMORED)[:-1]), "cut off"),
        (sshsig.armor(wire_of(ARMORED), width=64), "wrapped"),
        (b"\n" + ARMORED, "header"),
        (ARMORED.replace(b"\n", b"\r\n"), "header"),
        (ARMORED.replace(b"SIGNATURE", b"MESSAGE"), "header"),
        (ARMORED.replace(b"\n-----END", b"-----END"), "footer"),
        (ARMORED.replace(b"\nU", b"\n\nU"), "wrapped"),
        (ARMORED.replace(b"\nU", b"\n U"), "not base64"),
        (b"", "header"),
    ],
)
def test_refuses_a_malformed_signature(armored: bytes, expected: str) -> None:
    """Each departure from the format is refused with its reason."""
    assert expected in reason(armored)


def test_accepts_the_line_widths_that_signers_use() -> None:
    """Lines of 70 and 76 characters, and a missing last line end, are accepted."""
    for armored in (sshsig.armor(wire_of(ARMORED), width=76), ARMORED.rstrip(b"\n")):
        assert sshsig.verify(armored, MESSAGE, namespace=APPROVAL)


def test_a_signature_has_one_form_only() -> None:
    """The scalar plus the group order, a second form of the same signature, is refused."""
    point, scalar = wire_of(ARMORED)[-64:-32], wire_of(ARMORED)[-32:]
    second = int.from_bytes(scalar, "little") + GROUP_ORDER
    assert reason(forged(signature=point + second.to_bytes(32, "little"))) == (
        "the signature does not match what was signed"
    )


def test_unused_bits_of_base64_must_be_zero() -> None:
    """Another last character that decodes to the same bytes is refused."""
    head, padding, footer = ARMORED.partition(b"==\n")
    changed = head[:-1] + bytes([head[-1] + 1]) + padding + footer
    assert wire_of(changed) == wire_of(ARMORED)
    assert reason(changed) == "signature is not canonical base64"


@given(position=st.integers(0, len(ARMORED) - 1), value=st.integers(0, 255))
def test_any_changed_byte_is_refused(position: int, value: int) -> None:
    """Changing any one byte of the armored signature makes it invalid."""
    changed = bytearray(ARMORED)
    changed[position] = value if value != changed[position] else value ^ 1
    assert reason(bytes(changed))


@given(position=st.integers(0, len(wire_of(ARMORED)) - 1), mask=st.integers(1, 255))
def test_any_changed_wire_byte_is_refused(position: int, mask: int) -> None:
    """Changing any one byte under the armor makes the signature invalid."""
    changed = bytearray(wire_of(ARMORED))
    changed[position] ^= mask
    assert reason(sshsig.armor(bytes(changed)))


@given(length=st.integers(0, len(ARMORED) - 2))
def test_any_truncation_is_refused(length: int) -> None:
    """A signature cut off anywhere before its footer's end is invalid."""
    assert reason(ARMORED[:length])
    assert reason(sshsig.armor(wire_of(ARMORED)[: length // 2]))


@given(data=st.binary(max_size=400), wire=st.booleans())
def test_noise_raises_nothing_but_bad_signature(data: bytes, *, wire: bool) -> None:
    """Whatever the bytes, armored or bare, the answer is BadSignature."""
    assert reason(sshsig.armor(b"SSHSIG\0\0\0\1" + data) if wire else data)


@given(
    message=st.binary(max_size=200),
    other=st.binary(max_size=200),
    namespace=st.text("ab.", min_size=1),
)
def test_a_signature_holds_for_its_message_alone(
    message: bytes, other: bytes, namespace: str
) -> None:
    """A signature verifies for the message that was signed, and for no other."""
    armored = sshsig.sign_in_process(PRIVATE_KEY, message, namespace=namespace)
    signed = sshsig.verify(armored, message, namespace=namespace)
    assert signed == Signed(ssh_keys.public_key_of(PRIVATE_KEY))
    if message != other:
        assert "does not match" in reason(armored, other, namespace=namespace)
