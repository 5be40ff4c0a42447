from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from ssh_keys import (
    SK_ED25519,
    TYPES,
    Certifying,
    SoftKey,
    agent,
    certified,
    soft_key,
    text_of,
)

from runner.core.errors import SigningError, ToolNotFound
from runner.git import signing, sshsig
from runner.git.signing import SshSigner
from runner.git.signing_keys import (
    brief,
    certificate_beside,
    has_private_file,
    literal,
    usable_key,
)

APPROVAL: Final = "planlock-approval"
MESSAGE: Final = b"decision: approve\n"
NO_AGENT: Final = {"PATH": os.environ["PATH"]}
IMPORTS: Final = {"PYTHONPATH": os.pathsep.join(sys.path)}
KEY: Final = soft_key("ssh-ed25519")


def assert_shows(signer: SshSigner, blob: bytes) -> None:
    signed = sshsig.verify(signer.sign(MESSAGE, namespace=APPROVAL), MESSAGE, namespace=APPROVAL)
    assert signed.blob == blob == signer.credential.blob


def certificate_of(key: SoftKey) -> bytes:
    return certified(key, soft_key("ssh-ed25519", 2), Certifying())


def trouble(signer: SshSigner) -> str:
    with pytest.raises(SigningError) as caught:
        signer.sign(MESSAGE, namespace=APPROVAL)
    assert caught.value.hint
    return caught.value.message


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


@pytest.mark.parametrize("key_type", [each for each in TYPES if not each.startswith("sk-")])
def test_signs_with_every_type_of_key_file(key_type: str, tmp_path: Path) -> None:
    """A file of each type signs, and so does a certificate that lies beside it."""
    key = soft_key(key_type)
    path = key.save(tmp_path / "key")
    assert_shows(SshSigner(path, env=NO_AGENT), key.blob)
    beside = tmp_path / "key-cert.pub"
    beside.write_text(text_of(certificate_of(key)))
    assert_shows(SshSigner(beside, env=NO_AGENT), certificate_of(key))


@pytest.mark.parametrize("form", ["{0}", "key::{0}", "file"])
@pytest.mark.parametrize("certify", [False, True])
@pytest.mark.parametrize("key_type", TYPES)
def test_agent_signs_for_every_type(
    key_type: str,
    certify: bool,  # noqa: FBT001 - pytest passes by name
    form: str,
    tmp_path: Path,
) -> None:
    """An agent signs with each type of key, FIDO ones too, named by text or file, or certified."""
    key = soft_key(key_type)
    blob = certificate_of(key) if certify else key.blob
    named = tmp_path / ("key-cert.pub" if certify else "key.pub")
    named.write_text(text_of(blob))
    name: str | Path = named if form == "file" else form.format(text_of(blob))
    with agent(tmp_path / "socket", (blob, key.sign)) as reached:
        assert_shows(SshSigner(name, env=NO_AGENT | reached), blob)


def test_A23_agent_that_signs_without_touch(tmp_path: Path) -> None:
    """A FIDO signature that nobody touched the key for is not handed on."""
    key = soft_key(SK_ED25519)
    untouched = (key.blob, lambda data: key.sign(data, flags=0))
    with agent(tmp_path / "socket", untouched) as reached:
        said = trouble(SshSigner(key.text, env=NO_AGENT | reached))
    assert "checking the new signature: the FIDO key was not touched" in said


def test_A18_agent_that_signs_as_another(tmp_path: Path) -> None:
    """What an agent signs with another key than the one asked for is not handed on."""
    other = soft_key("ssh-ed25519", 2)
    with agent(tmp_path / "socket", (KEY.blob, other.sign)) as reached:
        assert trouble(SshSigner(KEY.text, env=NO_AGENT | reached))


def test_A18_a_certificate_is_not_swapped_for_its_key(tmp_path: Path) -> None:
    """A program that shows the bare key where the certificate was asked for is found out."""
    KEY.save(tmp_path / "key")
    beside = tmp_path / "key-cert.pub"
    beside.write_text(text_of(certificate_of(KEY)))
    bare = 'for last; do :; done; exec ssh-keygen -q -Y sign -n $4 -f "${6%-cert.pub}" "$last"'
    program = script(tmp_path / "signer", bare)
    said = trouble(SshSigner(beside, env=NO_AGENT, program=program))
    assert "signing with certificate 'ada' (serial 7)" in said
    assert "the signature is by key SHA256:" in said


def test_a_fido_key_lets_its_prompt_be_seen(tmp_path: Path) -> None:
    """What ssh-keygen says of a key that must be touched reaches the terminal, as it is said."""
    key = soft_key(SK_ED25519)
    program = script(tmp_path / "signer", "echo please touch >&2; exit 1")
    code = (
        "from runner.git.signing import SshSigner;"
        f"SshSigner({key.text!r}, program={program!r}).sign(b'm', namespace='n')"
    )
    env = NO_AGENT | IMPORTS
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=False)
    assert done.stderr.startswith(b"please touch\n")
    assert f"{program} exit 1".encode() in done.stderr


def test_another_program_signs_with_gits_arguments(tmp_path: Path) -> None:
    """A program that stands for ssh-keygen is called as git calls it, and its work is checked."""
    key, log = KEY.save(tmp_path / "key"), tmp_path / "log"
    program = script(tmp_path / "signer", f'echo "$@" > {log}; exec ssh-keygen "$@"')
    assert_shows(SshSigner(key, env=NO_AGENT, program=program), KEY.blob)
    words = log.read_text().split()
    assert words[:-1] == ["-Y", "sign", "-n", APPROVAL, "-f", str(key)]
    script(tmp_path / "signer", 'for last; do :; done; echo no > "$last.sig"')
    said = trouble(SshSigner(key, env=NO_AGENT, program=program))
    assert "checking the new signature" in said


def test_D13_a_program_of_the_repository_is_not_started(tmp_path: Path) -> None:
    """A relative path is refused, and a program that cannot be started is named."""
    key = KEY.save(tmp_path / "key")
    said = trouble(SshSigner(key, env=NO_AGENT, program="./signer"))
    assert "a relative path could name a file of the repository" in said
    with pytest.raises(ToolNotFound, match="none is not installed"):
        SshSigner(key, env=NO_AGENT, program=str(tmp_path / "none")).sign(b"", namespace="git")
    with pytest.raises(SigningError, match="Permission denied"):
        SshSigner(key, env=NO_AGENT, program=str(key)).sign(b"", namespace="git")
    with pytest.raises(SigningError, match="a relative path"):
        signing.first_key("tools/keys")


@pytest.mark.parametrize(
    "line", ["ssh-ed25519 AAAA ada", "key::ssh-ed25519 AAAA", "ecdsa-sha2-nistp256 AA", "sk-x AA b"]
)
def test_first_key_of_a_command(line: str) -> None:
    """The first line that the default key command prints is the key; no shell reads it."""
    command = f"""printf '%s\\n' '{line}' 'ssh-rsa AAAA'"""
    assert signing.first_key(command, env=NO_AGENT) == line


@pytest.mark.parametrize(
    "command, expected",
    [
        ("printf 'no identities'", "its first line is no public key: 'no identities'"),
        ("printf '\\nssh-ed25519 AAAA'", "its first line is no public key: ''"),
        ("echo ssh-ed25519 AAAA; exit", None),
        ("sh -c 'echo broken >&2; exit 3'", "broken"),
        ("false", "exit 1"),
        ("echo 'open", "No closing quotation"),
        (" ", "it is empty"),
    ],
)
def test_default_key_command_without_a_key(command: str, expected: str | None) -> None:
    """A command that fails, or prints no key, is told with its words."""
    if expected is None:
        assert signing.first_key(command, env=NO_AGENT) == "ssh-ed25519 AAAA; exit"
        return
    with pytest.raises(SigningError, match=r"gpg\.ssh\.defaultKeyCommand") as caught:
        signing.first_key(command, env=NO_AGENT)
    assert expected in caught.value.message


@pytest.mark.parametrize(
    "key, expected",
    [
        ("key::x y", "x y"),
        ("ssh-ed25519 AAAA", "ssh-ed25519 AAAA"),
        ("ssh-keys/mine", "ssh-keys/mine"),
        ("ecdsa-sha2-nistp256 AAAA", "ecdsa-sha2-nistp256 AAAA"),
        ("sk-ssh-ed25519@openssh.com AAAA", "sk-ssh-ed25519@openssh.com AAAA"),
        ("sk-key", None),
        ("ecdsa-key.pub", None),
        ("~/.ssh/id_ed25519", None),
    ],
)
def test_a_key_is_text_or_a_file(key: str, expected: str | None) -> None:
    """`key::` and `ssh-` begin a text, as git has it; other types only where a key follows."""
    assert literal(key) == expected
    assert literal(Path(key)) is None


def test_first_usable_key(tmp_path: Path) -> None:
    """The first candidate that is a key's text, a file, or has a public file, is taken."""
    missing, key = tmp_path / "none", KEY.save(tmp_path / "key")
    public_only = soft_key(SK_ED25519).save(tmp_path / "public")
    text = KEY.text
    beneath_a_file, too_long = key / "x", tmp_path / ("x" * 300)
    assert usable_key([missing, beneath_a_file, too_long, str(key), text]) == key
    assert usable_key([missing, public_only, key]) == public_only
    assert usable_key([missing, text, key]) == text
    assert usable_key([missing, f"key::{text}"]) == f"key::{text}"
    assert usable_key([missing, "~nobody-has-this-name/key"]) is None
    assert usable_key(["key"], folder=tmp_path) == key
    assert usable_key([str(key)], folder=Path("/elsewhere")) == key
    assert usable_key(["key"], folder=Path("/elsewhere")) is None


def test_the_certificate_beside_a_key(tmp_path: Path) -> None:
    """It lies beside either half of a key file; text has none, and a certificate no further one."""
    key, beside = KEY.save(tmp_path / "key"), tmp_path / "key-cert.pub"
    assert certificate_beside(key) is None
    beside.write_text(text_of(certificate_of(KEY)))
    for name in (key, str(key), f"{key}.pub"):
        assert certificate_beside(name) == beside
    assert certificate_beside(beside) is None
    assert certificate_beside(KEY.text) is None


def test_certified_only_by_a_sound_certificate_of_the_key(tmp_path: Path) -> None:
    """A sound certificate is what then signs; anything else beside the key is passed over."""
    key, beside = KEY.save(tmp_path / "key"), tmp_path / "key-cert.pub"
    other = certificate_of(soft_key("ssh-ed25519", 3))
    for text in (KEY.text, "-----BEGIN NOTHING", "ssh-x AAAA", text_of(other)):
        beside.write_text(text)
        assert SshSigner(key, env=NO_AGENT).certified() is None
    beside.write_text(text_of(certificate_of(KEY)))
    shown = SshSigner(key, env=NO_AGENT).certified()
    assert shown is not None
    assert_shows(shown, certificate_of(KEY))
    assert (shown.certificate_file, shown.listable_key.blob) == (beside, KEY.blob)


def test_where_the_private_half_is_a_file(tmp_path: Path) -> None:
    """It is looked for where ssh-keygen looks, by what the file holds."""
    key, beside = KEY.save(tmp_path / "key"), tmp_path / "key-cert.pub"
    for name in (key, f"{key}.pub", beside):
        assert has_private_file(name)
    assert not has_private_file(KEY.text)
    assert not has_private_file(tmp_path)
    key.write_text(KEY.text)
    for name in (key, f"{key}.pub", beside, tmp_path / "none"):
        assert not has_private_file(name)


def test_an_agent_must_hold_what_is_shown(tmp_path: Path) -> None:
    """An agent with the key alone cannot sign for its certificate, nor one that is not there."""
    certificate = certificate_of(KEY)
    signers = [f"key::{KEY.text}", f"key::{text_of(certificate)}"]
    for blob, able in ((KEY.blob, [True, False]), (certificate, [False, True])):
        with agent(tmp_path / blob.hex()[-8:], (blob, KEY.sign)) as reached:
            env = NO_AGENT | reached
            assert [SshSigner(each, env=env).can_sign() for each in signers] == able
    for env in (NO_AGENT, {"PATH": str(tmp_path)}):
        assert not SshSigner(KEY.text, env=env).can_sign()


@pytest.mark.parametrize(
    "key, expected",
    [
        (f"/long/{'x' * 60}/key.pub", f"/long/{'x' * 60}/key.pub"),
        ("key::ssh-ed25519 AAAA ada", "key::ssh-ed25519 AAAA ada"),
        (f"ssh-rsa AAAA{'x' * 60}ZZZZ ada", "ssh-rsa AAAAxxxxxxxx…xxxxxxxxZZZZ ada"),
    ],
)
def test_a_key_in_messages(key: str, expected: str) -> None:
    """A file is told whole, a long public key by its ends."""
    assert brief(key) == expected


def test_messages_name_a_key_in_text_by_its_ends() -> None:
    """Trouble with a key's text does not print all of it."""
    said = trouble(SshSigner(KEY.text, env=NO_AGENT))
    assert said.startswith(f"signing with key {brief(KEY.text)}: ")
    assert KEY.text not in said
