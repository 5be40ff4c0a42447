from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from ssh_keys import soft_key

from runner.core.errors import (
    FileAccessError,
    KeyNotFound,
    PlanlockError,
    Refused,
    SigningError,
    ToolNotFound,
    UsageError,
)
from runner.git import signing, sshsig
from runner.git.signing import FileSigner, SshSigner
from runner.git.ssh_keys import PublicKey

APPROVAL: Final = "planlock-approval"
MESSAGE: Final = b"decision: approve\n"
NO_AGENT: Final = {"PATH": os.environ["PATH"]}
IMPORTS: Final = {"PYTHONPATH": os.pathsep.join(sys.path)}

MakeKey = Callable[..., Path]


@pytest.fixture
def make_key(tmp_path: Path) -> MakeKey:
    def make(name: str = "key", *, passphrase: str = "", kind: str = "ed25519") -> Path:
        path = tmp_path / name
        argv = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "ada", "-f", str(path)]
        subprocess.run(argv, check=True)
        return path

    return make


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Start an empty agent; give the environment that reaches it."""
    socket = tmp_path / "agent"
    with subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        # the agent listens once it has printed where
        process.stdout.readline()
        yield NO_AGENT | {"SSH_AUTH_SOCK": str(socket)}
        process.terminate()


@pytest.fixture
def askpass(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Return a function that gives an environment in which each passphrase asked is `answer`."""

    def make(answer: str) -> dict[str, str]:
        script = tmp_path / "askpass"
        script.write_text(f"#!/bin/sh\necho '{answer}'\n")
        script.chmod(0o700)
        return NO_AGENT | {"SSH_ASKPASS": str(script), "SSH_ASKPASS_REQUIRE": "force"}

    return make


def text_of(key: Path) -> str:
    return key.with_name(f"{key.name}.pub").read_text()


def public(key: Path) -> PublicKey:
    return PublicKey.from_text(text_of(key))


def raised(signer: SshSigner) -> PlanlockError:
    with pytest.raises(PlanlockError) as caught:
        signer.sign(MESSAGE, namespace=APPROVAL)
    assert caught.value.hint
    return caught.value


def assert_signs(signer: SshSigner | FileSigner, key: PublicKey) -> None:
    armored = signer.sign(MESSAGE, namespace=APPROVAL)
    assert sshsig.verify(armored, MESSAGE, namespace=APPROVAL).key == key == signer.public_key


def test_signs_with_a_key_file(make_key: MakeKey) -> None:
    """A private key file signs, named by itself or by its public file, as text or path."""
    key = make_key()
    for name in (key, str(key), f"{key}.pub"):
        assert_signs(SshSigner(name, env=NO_AGENT), public(key))


def test_signs_with_a_key_under_home(make_key: MakeKey, tmp_path: Path) -> None:
    """A path that starts with ~ is under the home directory."""
    key = make_key()
    home = NO_AGENT | IMPORTS | {"HOME": str(tmp_path)}
    code = (
        "from runner.git.signing import SshSigner; import sys;"
        f"sys.stdout.buffer.write(SshSigner('~/key').sign(b'm', namespace={APPROVAL!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=home, capture_output=True, check=True)
    assert sshsig.verify(done.stdout, b"m", namespace=APPROVAL).key == public(key)


def test_agent_signs_for_a_public_key(make_key: MakeKey, agent: dict[str, str]) -> None:
    """Where only the public half is here, the agent signs: by file, and by the text itself."""
    key = make_key()
    subprocess.run(["ssh-add", "-q", str(key)], env=agent, check=True, stderr=subprocess.DEVNULL)
    expected = public(key)
    key.unlink()
    text = text_of(key)
    for name in (key, f"{key}.pub", text, f"key::{text}", expected.text):
        assert_signs(SshSigner(name, env=agent), expected)


def test_agent_without_the_key(make_key: MakeKey, agent: dict[str, str]) -> None:
    """A public key whose private half is nowhere gives ssh-keygen's own words."""
    key = make_key()
    key.unlink()
    error = raised(SshSigner(key, env=agent))
    assert isinstance(error, SigningError)
    assert "No private key found" in error.message
    assert error.hint == "ssh-add -l"
    assert isinstance(raised(SshSigner(text_of(key), env=NO_AGENT)), SigningError)


def test_agent_that_refuses(
    make_key: MakeKey, agent: dict[str, str], askpass: Callable[[str], dict[str, str]]
) -> None:
    """A locked agent makes no signature, and one that is unlocked again does."""
    key = make_key()
    expected, quiet = public(key), subprocess.DEVNULL
    subprocess.run(["ssh-add", "-q", str(key)], env=agent, check=True, stderr=quiet)
    key.unlink()
    for option in ("-x", "-X"):
        argv = ["ssh-add", option]
        subprocess.run(argv, env=agent | askpass("lock"), check=True, capture_output=True)
        if option == "-x":
            assert isinstance(raised(SshSigner(key, env=agent)), SigningError)
    assert_signs(SshSigner(key, env=agent), expected)


def test_passphrase(make_key: MakeKey, askpass: Callable[[str], dict[str, str]]) -> None:
    """An encrypted key signs with its passphrase, and a wrong one gives ssh-keygen's words."""
    key = make_key(passphrase="open sesame")
    assert_signs(SshSigner(key, env=askpass("open sesame")), public(key))
    error = raised(SshSigner(key, env=askpass("wrong")))
    assert isinstance(error, SigningError)
    assert "incorrect passphrase" in error.message


def test_passphrase_is_asked_on_the_terminal(make_key: MakeKey) -> None:
    """Without an agent the prompt reaches the terminal, and the answer ssh-keygen."""
    key = make_key(passphrase="open sesame")
    code = (
        "from runner.git.signing import SshSigner; import sys;"
        f"sys.stdout.buffer.write(SshSigner({str(key)!r}).sign(b'm', namespace={APPROVAL!r}))"
    )
    argv = ["setsid", "--ctty", "--wait", sys.executable, "-c", code]
    master, slave = pty.openpty()
    with subprocess.Popen(
        argv, stdin=slave, stdout=subprocess.PIPE, env=NO_AGENT | IMPORTS
    ) as process:
        os.close(slave)
        shown = b""
        while b"passphrase" not in shown and select.select([master], [], [], 10)[0]:
            shown += os.read(master, 1000)
        os.write(master, b"open sesame\n")
        armored = process.communicate(timeout=10)[0]
    os.close(master)
    assert b"Enter passphrase" in shown
    assert sshsig.verify(armored, b"m", namespace=APPROVAL).key == public(key)


def test_A18_public_file_beside_another_private_key(make_key: MakeKey) -> None:
    """A .pub file of ada beside bob's private key does not sign as either."""
    key, other = make_key("ada"), make_key("bob")
    shutil.copyfile(f"{other}.pub", f"{key}.pub")
    assert isinstance(raised(SshSigner(key, env=NO_AGENT)), SigningError)


def test_a_signature_that_is_not_ours_is_refused(make_key: MakeKey, tmp_path: Path) -> None:
    """What the program on PATH signed with another key, or in no valid form, is not handed on."""
    key, other = make_key(), make_key("other")
    real = shutil.which("ssh-keygen")
    program = tmp_path / "bin" / "ssh-keygen"
    program.parent.mkdir()
    env = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    for script, words in (
        (
            f'for last; do :; done; exec {real} -q -Y sign -n {APPROVAL} -f {other} "$last"',
            "the signature is by key",
        ),
        ('for last; do :; done; echo x > "$last.sig"', "checking the new signature"),
        ("exit 3", "ssh-keygen exit 3"),
        ("exit 0", "No such file"),
    ):
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        with pytest.raises(PlanlockError, match=words):
            SshSigner(key, env=env).sign(MESSAGE, namespace=APPROVAL)


def test_missing_program(make_key: MakeKey, tmp_path: Path) -> None:
    """Where ssh-keygen is not installed, the error names it and how to install it."""
    error = raised(SshSigner(make_key(), env={"PATH": str(tmp_path / "nothing")}))
    assert isinstance(error, ToolNotFound)
    assert "ssh-keygen is not installed" in error.message


def test_missing_key(make_key: MakeKey, tmp_path: Path) -> None:
    """A key file that is not there is named, with the command that makes it."""
    for name in ("nowhere", "~nobody-has-this-name/key"):
        error = raised(SshSigner(str(tmp_path / name) if name == "nowhere" else name))
        assert isinstance(error, KeyNotFound)
        assert name in error.message
    key = make_key()
    Path(f"{key}.pub").unlink()
    error = raised(SshSigner(key))
    assert isinstance(error, KeyNotFound)
    subprocess.run(error.hint, shell=True, check=True)  # noqa: S602 - the hint is for a shell
    assert_signs(SshSigner(key, env=NO_AGENT), public(key))


def test_unsuitable_key(tmp_path: Path) -> None:
    """A short key, a text that is no key and a folder are refused with the reason."""
    short = soft_key("ssh-rsa", 3, bits=1024)
    with pytest.raises(SigningError, match="1024 bits, not 2048"):
        SshSigner(short.text, env=NO_AGENT).sign(MESSAGE, namespace=APPROVAL)
    with pytest.raises(SigningError, match="reading public key key::x"):
        _ = SshSigner("key::x").public_key
    with pytest.raises(FileAccessError, match="Is a directory"):
        _ = SshSigner(tmp_path).public_key


def test_generated_key_is_one_of_ssh(tmp_path: Path) -> None:
    """A generated key signs in process and through ssh-keygen, and only its owner can read it."""
    path = tmp_path / "runner"
    key = signing.generate_key(path, "planlock runner")
    assert path.stat().st_mode & 0o777 == 0o600
    assert text_of(path) == f"{key.text} planlock runner\n"
    derived = subprocess.run(["ssh-keygen", "-yf", path], capture_output=True, check=True).stdout
    assert PublicKey.from_text(derived.decode()) == key
    assert_signs(FileSigner(path), key)
    assert_signs(SshSigner(path, env=NO_AGENT), key)
    assert FileSigner(path).sign(b"", namespace="git") == SshSigner(path).sign(b"", namespace="git")


def test_generating_never_overwrites(tmp_path: Path) -> None:
    """A key that exists, in either half or as a link, is left as it is and nothing is added."""
    path, pub = tmp_path / "key", tmp_path / "key.pub"
    for existing in (path, pub):
        existing.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(Refused, match="a key is never overwritten"):
            signing.generate_key(path, "runner")
        existing.unlink()
        assert not list(tmp_path.iterdir())


def test_generating_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A missing folder and a comment of two lines are refused before anything is written."""
    with pytest.raises(FileAccessError, match="No such file or directory"):
        signing.generate_key(tmp_path / "none" / "key", "runner")
    with pytest.raises(UsageError, match="not one printable line"):
        signing.generate_key(tmp_path / "key", "runner\nssh-ed25519 AAAA")
    assert not list(tmp_path.iterdir())


def test_generating_leaves_no_half_key(tmp_path: Path) -> None:
    """A write that the system refuses in the middle leaves no file behind."""
    code = (
        "from runner.git.signing import generate_key; import pathlib, sys;"
        "generate_key(pathlib.Path(sys.argv[1]), 'runner')"
    )
    argv = ["prlimit", "--fsize=100", sys.executable, "-B", "-c", code, str(tmp_path / "key")]
    done = subprocess.run(argv, env=NO_AGENT | IMPORTS, capture_output=True, check=False)
    assert b"FileAccessError: generating key" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_runner_key_that_others_can_use(tmp_path: Path, mode: int) -> None:
    """A runner's key that group or world can read or write is refused, and the hint mends it."""
    path = tmp_path / "key"
    key = signing.generate_key(path, "runner")
    path.chmod(mode)
    with pytest.raises(SigningError, match="lets others use it") as caught:
        FileSigner(path)
    subprocess.run(caught.value.hint, shell=True, check=True)  # noqa: S602 - the hint is for a shell
    assert_signs(FileSigner(path), key)


def test_unsuitable_runner_key(make_key: MakeKey, tmp_path: Path) -> None:
    """A runner's key that is missing, encrypted, of another type or no key is refused."""
    noise = tmp_path / "noise"
    noise.write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
    noise.chmod(0o600)
    for path, kind, words in (
        (tmp_path / "none", KeyNotFound, "no such file"),
        (make_key("locked", passphrase="open sesame"), SigningError, "not an unencrypted"),
        (make_key("ecdsa", kind="ecdsa"), SigningError, "not an ed25519 key"),
        (noise, SigningError, "not an unencrypted"),
        (tmp_path, FileAccessError, "Is a directory"),
    ):
        with pytest.raises(kind, match=words):
            FileSigner(path)
