from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ssh_keys import (
    SK_ECDSA,
    TYPES,
    SoftKey,
    mpint,
    packed,
    signature_of,
    soft_key,
    text_of,
    webauthn,
)

from runner.git import sshsig
from runner.git.certificates import Credential
from runner.git.ssh_keys import PublicKey
from runner.git.sshsig import BadSignature, Signed

APPROVAL: Final = "planlock-approval"
MESSAGE: Final = b"decision: approve\n"
P256: Final = soft_key("ecdsa-sha2-nistp256").fields
ODD: Final = 2**2047 + 1


def wire_of(armored: bytes) -> bytes:
    return base64.b64decode(b"".join(armored.splitlines()[1:-1]))


def reason(armored: bytes, message: bytes = MESSAGE) -> str:
    with pytest.raises(BadSignature) as caught:
        sshsig.verify(armored, message, namespace=APPROVAL)
    return caught.value.reason


def signed_by(key: SoftKey, **how: Any) -> bytes:
    return signature_of(key.blob, lambda data: key.sign(data, **how), MESSAGE, namespace=APPROVAL)


SIGNED: Final = {each: signed_by(soft_key(each)) for each in TYPES}


@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
@pytest.mark.parametrize("key_type", TYPES)
def test_verifies_every_key_type(key_type: str, hash_name: str) -> None:
    """A sound signature by each type of key tells the key, and holds for its message alone."""
    key = soft_key(key_type)
    made = signature_of(key.blob, key.sign, MESSAGE, namespace=APPROVAL, hash_name=hash_name)
    signed = sshsig.verify(made, MESSAGE, namespace=APPROVAL)
    assert signed == Signed(PublicKey(key_type, key.blob), None, key.hardware)
    assert signed.assurance == ("hardware" if key_type.startswith("sk-") else "key")
    assert signed.text == key.text == text_of(key.blob)
    assert reason(made, b"another") == "the signature does not match what was signed"


def test_verifies_rsa_with_both_hashes() -> None:
    """RSA signs with SHA-512 or SHA-256; SHA-1 is refused, and so is one hash called the other."""
    key = soft_key("ssh-rsa")
    for name in (b"rsa-sha2-512", b"rsa-sha2-256"):
        armored = signed_by(key, signature_type=name)
        assert sshsig.verify(armored, MESSAGE, namespace=APPROVAL).key.blob == key.blob
    assert reason(signed_by(key, signature_type=b"ssh-rsa")) == (
        "signature type 'ssh-rsa' does not count for key type ssh-rsa"
    )
    wire = wire_of(signed_by(key)).replace(b"rsa-sha2-512", b"rsa-sha2-256")
    assert "does not match" in reason(sshsig.armor(wire))


@pytest.mark.parametrize("flags", [0, 0x04, 0xFE])
@pytest.mark.parametrize("key_type", [each for each in TYPES if each.startswith("sk-")])
def test_A23_fido_signature_without_touch(key_type: str, flags: int) -> None:
    """A FIDO signature that nobody touched the key for is refused, though it is right."""
    key = soft_key(key_type)
    assert reason(signed_by(key, flags=flags)) == "the FIDO key was not touched for this signature"
    armored = signed_by(key, flags=flags | 1)
    assert sshsig.verify(armored, MESSAGE, namespace=APPROVAL).touched


@pytest.mark.parametrize("key_type", [each for each in TYPES if each.startswith("sk-")])
def test_A23_fido_flags_and_counter_are_signed(key_type: str) -> None:
    """The touch cannot be put into a signature afterwards, nor its counter changed."""
    wire = wire_of(signed_by(soft_key(key_type), flags=0))
    touched = wire[:-5] + b"\1" + wire[-4:]
    assert "does not match" in reason(sshsig.armor(touched))
    wire = wire_of(signed_by(soft_key(key_type)))
    assert "does not match" in reason(sshsig.armor(wire[:-1] + b"\x08"))


def test_A23_webauthn_signature() -> None:
    """What a browser had a FIDO key sign is refused, though OpenSSH takes it."""
    key = soft_key(SK_ECDSA)
    made = signature_of(key.blob, lambda data: webauthn(key, data), MESSAGE, namespace=APPROVAL)
    assert "webauthn-sk-ecdsa-sha2-nistp256@openssh.com' does not count" in reason(made)


@pytest.mark.parametrize(
    "bits, expected",
    [(1024, "1024 bits, not 2048"), (2047, "2047 bits, not 2048"), (2048, ""), (16384, "")],
)
def test_size_of_rsa_keys(bits: int, expected: str) -> None:
    """An RSA key has 2048 to 16384 bits."""
    blob = packed(b"ssh-rsa", mpint(65537), mpint(2 ** (bits - 1) + 1))
    if not expected:
        assert PublicKey.from_blob(blob).type == "ssh-rsa"
        return
    with pytest.raises(ValueError, match=expected):
        PublicKey.from_blob(blob)


@pytest.mark.parametrize(
    "exponent, modulus, expected",
    [
        (mpint(65537), mpint(2**16384 + 1), "16385 bits"),
        (mpint(1), mpint(ODD), "exponent is even, 1 or longer"),
        (mpint(65536), mpint(ODD), "exponent is even, 1 or longer"),
        (mpint(2**64 + 1), mpint(ODD), "exponent is even, 1 or longer"),
        (mpint(3), mpint(ODD + 1), "modulus is even"),
        (b"", mpint(ODD), "exponent is not a positive number"),
        (b"\x81", mpint(ODD), "exponent is not a positive number"),
        (b"\0\3", mpint(ODD), "exponent has superfluous leading zeros"),
        (b"\0", mpint(ODD), "exponent has superfluous leading zeros"),
        (mpint(3), b"\0" + mpint(ODD), "modulus has superfluous leading zeros"),
        (mpint(3), mpint(ODD)[1:], "modulus is not a positive number"),
    ],
)
def test_refuses_an_unsound_rsa_key(exponent: bytes, modulus: bytes, expected: str) -> None:
    """Numbers out of bounds, and those written in another form than the shortest, are refused."""
    with pytest.raises(ValueError, match=expected):
        PublicKey.from_blob(packed(b"ssh-rsa", exponent, modulus))


@pytest.mark.parametrize(
    "curve, point, expected",
    [
        (b"nistp384", P256[1], "does not name its curve nistp256"),
        (P256[0], P256[1][:-1], "not an uncompressed point"),
        (P256[0], bytes([2 + P256[1][-1] % 2]) + P256[1][1:33], "not an uncompressed point"),
        (P256[0], b"\5" + P256[1][1:], "not an uncompressed point"),
        (P256[0], b"\0", "not an uncompressed point"),
        (P256[0], P256[1][:-1] + bytes([P256[1][-1] ^ 1]), "not a point of curve nistp256"),
        (P256[0], b"\4" + b"\xff" * 64, "not a point of curve nistp256"),
        (P256[0], b"\4" + bytes(64), "not a point of curve nistp256"),
    ],
)
def test_refuses_an_unsound_ecdsa_key(curve: bytes, point: bytes, expected: str) -> None:
    """A compressed point, the one at infinity, and one beside the curve are refused."""
    with pytest.raises(ValueError, match=expected):
        PublicKey.from_blob(packed(b"ecdsa-sha2-nistp256", curve, point))


@pytest.mark.parametrize("name", ["nistp256", "nistp384", "nistp521"])
def test_both_points_of_a_coordinate_are_on_the_curve(name: str) -> None:
    """A point and its mirror are taken; a coordinate that is not less than the field is not."""
    key = soft_key(f"ecdsa-sha2-{name}")
    point, size = key.fields[1], len(key.fields[1]) // 2
    field = {"nistp256": 2**256 - 2**224 + 2**192 + 2**96 - 1, "nistp521": 2**521 - 1}
    p = field.get(name, 2**384 - 2**128 - 2**96 + 2**32 - 1)
    mirrored = (p - int.from_bytes(point[-size:], "big")).to_bytes(size, "big")
    for y in (point[-size:], mirrored):
        PublicKey.from_blob(packed(key.type.encode(), key.fields[0], point[:-size] + y))
    above = (p + 1).to_bytes(size, "big")
    with pytest.raises(ValueError, match="not a point"):
        PublicKey.from_blob(packed(key.type.encode(), key.fields[0], point[:-size] + above))


@pytest.mark.parametrize("pad", [b"\0", b"\0\0", b"\xff"])
def test_numbers_of_an_ecdsa_signature_have_one_form(pad: bytes) -> None:
    """A number with superfluous zeros, or a negative one, makes the signature invalid."""
    armored = signed_by(soft_key("ecdsa-sha2-nistp384"), pad=pad)
    assert reason(armored).startswith("a part of the signature ")


@pytest.mark.parametrize("change", [lambda made: b"\0" + made, lambda made: made[1:]])
def test_an_rsa_signature_has_one_length(change: Callable[[bytes], bytes]) -> None:
    """Zeros in front of the signature, or taken away from there, are refused."""
    key = soft_key("ssh-rsa")

    def sign(data: bytes) -> bytes:
        return packed(b"rsa-sha2-512", change(key.sign(data)[-256:]))

    made = signature_of(key.blob, sign, MESSAGE, namespace=APPROVAL)
    assert "bytes, not 256" in reason(made)


@pytest.mark.parametrize("after_key, after_signature", [(b"\0", b""), (b"", b"\0")])
@pytest.mark.parametrize("key_type", TYPES)
def test_A23_bytes_behind_a_key_or_signature(
    key_type: str, after_key: bytes, after_signature: bytes
) -> None:
    """Bytes behind a key or a signature of any type make it invalid."""
    key = soft_key(key_type)

    def sign(data: bytes) -> bytes:
        return key.sign(data) + after_signature

    made = signature_of(key.blob + after_key, sign, MESSAGE, namespace=APPROVAL)
    assert "1 trailing bytes" in reason(made)


@pytest.mark.parametrize("key_type", TYPES)
@given(data=st.data())
def test_any_changed_bit_of_any_type_is_refused(key_type: str, data: st.DataObject) -> None:
    """Changing one bit under the armor makes the signature of each type invalid."""
    changed = bytearray(wire_of(SIGNED[key_type]))
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert reason(sshsig.armor(bytes(changed)))


def test_a_credential_is_a_key_or_a_certificate() -> None:
    """What is no certificate is read as a key, and what is neither is refused."""
    key = soft_key("ssh-ed25519")
    assert Credential.from_text(f"{key.text} ada") == Credential(PublicKey.from_text(key.text))
    with pytest.raises(ValueError, match="is not known"):
        Credential.from_blob(packed(b"ssh-ed448"))
