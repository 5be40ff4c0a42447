"""The one place that starts git, in a way that the repository's own settings cannot bend.

Hooks, fsmonitor, external diffs, signature checkers, credential helpers and ssh commands named
in a repository's configuration would run as us; grafts and replace refs would change what an
object id means, and settings of `log` what history shows.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.core.errors import FileAccessError, GitError, ToolNotFound

LOCAL_SECONDS = 600.0
Done = subprocess.CompletedProcess[bytes]
NETWORK = ("fetch", "ls-remote", "push")

KEPT = ("PATH", "HOME", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR", "LANG")
SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.sshCommand=ssh",
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
        said = done.stderr.decode(errors="replace").strip()
        raise GitError(f"git {' '.join(args[:3])}: exit {done.returncode}: {said}")
    return done.stdout


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
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise FileAccessError(f"starting git in {cwd}: no such folder") from error
        raise ToolNotFound("starting git: not installed", hint="apt-get install git") from error
    except OSError as error:
        raise GitError(f"starting git: {error.strerror}") from error
