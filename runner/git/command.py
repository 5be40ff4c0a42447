"""The one place that starts git, in a way that the repository's own settings cannot bend.

Hooks, fsmonitor, external diffs, signature checkers, credential helpers and ssh commands named
in a repository's configuration would run as us; grafts and replace refs would change what an
object id means, and settings of `log` what history shows.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from runner.core.errors import FileAccessError, GitError, PlanlockError, ToolNotFound

LOCAL_SECONDS = 600.0
CHUNK = 1 << 16
Done = subprocess.CompletedProcess[bytes]
NETWORK = ("fetch", "ls-remote", "push")

KEPT = ("PATH", "HOME", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR", "LANG")
SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    # a place that does not answer is given up, so that no lease runs out meanwhile
    "core.sshCommand=ssh -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=30",
    "core.askPass=",
    "core.alternateRefsCommand=:",
    "credential.helper=",
    "core.pager=cat",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.commitGraph=false",
    "safe.bareRepository=explicit",
    "diff.external=",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.graftFileDeprecated=false",
    "log.showSignature=false",
    "log.diffMerges=separate",
    "log.follow=false",
    "log.showRoot=true",
    "push.gpgSign=false",
    "push.followTags=false",
    "push.recurseSubmodules=no",
    "submodule.recurse=false",
    "fetch.prune=false",
    "fetch.recurseSubmodules=false",
    "credential.interactive=false",
)


def environment(extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """Give git a clean environment: no inherited `GIT_*`, no system or user configuration.

    No transport but where `extra` has one: git fetches missing objects by a program that the
    configuration may name. What is None in `extra` is left out.
    """
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    every: dict[str, str | None] = {
        **kept,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
        **(extra or {}),
    }
    return {name: value for name, value in every.items() if value is not None}


def arguments(git_dir: Path | None, args: Sequence[str]) -> list[str]:
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    where = [f"--git-dir={git_dir}"] if git_dir else []
    return ["git", *settings, *where, *args]


def run(
    args: Sequence[str],
    *,
    git_dir: Path | None = None,
    stdin: bytes = b"",
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
) -> bytes:
    """Run git and give its stdout; raises GitError with command, code and stderr."""
    done = attempt(args, git_dir=git_dir, stdin=stdin, cwd=cwd, env=env)
    if done.returncode != 0:
        raise _failed(args, done.returncode, done.stderr)
    return done.stdout


def _failed(args: Sequence[str], code: int, stderr: bytes) -> GitError:
    said = stderr.decode(errors="replace").strip()
    return GitError(f"git {' '.join(args[:3])}: exit {code}: {said}")


def words(
    args: Sequence[str], *, git_dir: Path, separator: str, stdin: Iterable[str] = ()
) -> Iterator[str]:
    """Run git and give its stdout word by word, never whole; raises as `run`, some at its end."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.writelines(each.encode() for each in stdin)
        given.seek(0)
        process = _start(arguments(git_dir, args), given, said)
        with process:
            yield from _split(process.stdout, separator) if process.stdout else ()
        if process.returncode != 0:
            said.seek(0)
            raise _failed(args, process.returncode, said.read())


def _split(stream: IO[bytes], separator: str) -> Iterator[str]:
    rest = b""
    while chunk := stream.read(CHUNK):
        whole, found, rest = (rest + chunk).rpartition(separator.encode())
        if found:
            yield from whole.decode("utf-8", "surrogateescape").split(separator)
    if rest:
        yield rest.decode("utf-8", "surrogateescape")


def attempt(
    args: Sequence[str],
    *,
    git_dir: Path | None = None,
    stdin: bytes = b"",
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
) -> Done:
    """Run git whatever its exit code; raises ToolNotFound without git.

    GitError where it cannot be started, or takes more than LOCAL_SECONDS without a network.
    """
    try:
        return subprocess.run(
            arguments(git_dir, args),
            input=stdin,
            capture_output=True,
            cwd=cwd,
            env=environment(env),
            check=False,
            timeout=None if args[0] in NETWORK else LOCAL_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        message = f"git {' '.join(args[:3])}: no end after {LOCAL_SECONDS:.0f} seconds"
        raise GitError(message) from error
    except OSError as error:
        raise _not_started(error, cwd) from error


def _start(argv: Sequence[str], stdin: IO[bytes], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=environment()
        )
    except OSError as error:
        raise _not_started(error) from error


def _not_started(error: OSError, cwd: Path | None = None) -> PlanlockError:
    if not isinstance(error, FileNotFoundError):
        return GitError(f"starting git: {error.strerror}")
    if cwd is not None and not cwd.is_dir():
        return FileAccessError(f"starting git in {cwd}: no such folder")
    return ToolNotFound("starting git: not installed", hint="apt-get install git")
