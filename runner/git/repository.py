"""Find a repository and learn what planlock needs to know of it."""

from __future__ import annotations

import configparser
import os
import shlex
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from runner.core.errors import (
    FileAccessError,
    GitError,
    RepositoryNotFound,
    RepositoryUnsuitable,
    ToolNotFound,
)
from runner.git import command, refs

FOLLOWED = ("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY")
_ENVIRONMENT = threading.Lock()


class Setting(NamedTuple):
    """One value of git configuration; `scope` is system, global, local, worktree or command."""

    scope: str
    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Repository:
    """Where a repository lies, and the settings that its owner made outside the tree.

    `work_tree` is None in a bare repository; `common_dir` is shared by all work trees.
    """

    git_dir: Path
    common_dir: Path
    work_tree: Path | None
    config: dict[str, str]

    @property
    def objects(self) -> Path:
        return self.common_dir / "objects"

    @property
    def state(self) -> Path:
        """Where planlock keeps what is local: work trees, ledger, the runner's key."""
        return self.common_dir / "planlock"

    @property
    def top(self) -> Path:
        """Where git itself starts from: the work tree, in a bare repository the git folder."""
        return self.work_tree or self.git_dir

    @property
    def shallow(self) -> bool:
        return (self.common_dir / "shallow").exists()

    def head_branch(self) -> str | None:
        """The full name of the branch that HEAD names, born or not; None when detached."""
        found = command.attempt(["symbolic-ref", "--quiet", "HEAD"], git_dir=self.git_dir)
        return found.stdout.decode().strip() or None

    def head_commit(self) -> str | None:
        return refs.read(self.git_dir, "HEAD")

    def settings(self, environment: Mapping[str, str]) -> tuple[Setting, ...]:
        """List git's configuration as the caller's own git reads it, the strongest value last."""
        names = {"GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "HOME", "XDG_CONFIG_HOME"}
        names |= {name for name in environment if name.startswith("GIT_CONFIG_")}
        own = {name: environment.get(name) for name in names}
        listed = command.run(
            ["config", "--list", "--show-scope", "-z"], git_dir=self.git_dir, env=own
        )
        fields = [os.fsdecode(field) for field in listed.split(b"\0")]
        pairs = zip(fields[:-1:2], fields[1::2], strict=True)
        return tuple(Setting(scope, *_name_and_value(text)) for scope, text in pairs)

    def set_config(self, name: str, value: str) -> None:
        """Store a setting in the repository's own configuration."""
        command.run(["config", "--local", name, value], git_dir=self.git_dir)


def discover(start: Path) -> Repository:
    """Open the repository around a folder.

    Raises RepositoryNotFound, RepositoryUnsuitable, FileAccessError, GitError or ToolNotFound.
    """
    if shutil.which("git") is None:
        raise ToolNotFound("starting git: not installed", hint="apt-get install git")
    with _own_environment():
        found = _open(start)
    if found.config.get("extensions.objectformat", "sha1") != "sha1":
        message = "opening the repository: SHA-256 object ids are not supported"
        raise RepositoryUnsuitable(message, hint="git init --object-format=sha1")
    return found


@contextmanager
def _own_environment() -> Iterator[None]:
    """Keep from GitPython what it would follow; it takes no environment but the process's own.

    One at a time, or another thread would find the variables gone and not put them back.
    """
    with _ENVIRONMENT:
        taken = {name: os.environ.pop(name) for name in FOLLOWED if name in os.environ}
        try:
            yield
        finally:
            os.environ.update(taken)


def _open(start: Path) -> Repository:
    try:
        import git
    except (ImportError, OSError) as error:  # it starts git to learn its version
        raise GitError(f"starting git: {error}") from error

    try:
        with git.Repo(start, search_parent_directories=True, expand_vars=False) as repo:
            _check_own(start.resolve(), Path(repo.git_dir).resolve())
            return Repository(
                git_dir=Path(repo.git_dir).resolve(),
                common_dir=Path(repo.common_dir).resolve(),
                work_tree=Path(repo.working_tree_dir).resolve() if repo.working_tree_dir else None,
                config=_read_config(repo),
            )
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
        message = f"looking for a git repository: none at {start} or above"
        raise RepositoryNotFound(message, hint="cd into one, or: git init") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        message = f"reading git configuration: {error}"
        raise RepositoryUnsuitable(message, hint="git config --list --show-origin") from error
    except OSError as error:
        raise FileAccessError(f"opening the repository at {start}: {error}") from error


def _check_own(start: Path, git_dir: Path) -> None:
    """Refuse a repository that is itself content of another, whose branch wrote its settings.

    No branch can hold what is named `.git`; what was found without, as bare ones are, it can.
    """
    if not start.is_relative_to(git_dir) or git_dir.name == ".git":
        return
    for folder in (git_dir, *git_dir.parents):
        if os.path.lexists(folder / ".git"):
            message = f"opening the repository: {git_dir} lies in the work tree of {folder}"
            raise RepositoryUnsuitable(message, hint=f"cd {shlex.quote(str(folder))}")


def _read_config(repo: object) -> dict[str, str]:
    """Read user and repository settings; the repository's own never run a program through us."""
    import git

    if not isinstance(repo, git.Repo):
        raise TypeError
    settings: dict[str, str] = {}
    reader = repo.config_reader()
    try:
        for section in reader.sections():
            for name, value in reader.items(section):
                settings[_key(section, name)] = str(value)
    finally:
        reader.release()
    return settings


def _name_and_value(text: str) -> tuple[str, str]:
    """A name alone is a switch that is on."""
    name, line_end, value = text.partition("\n")
    return name, value if line_end else "true"


def _key(section: str, name: str) -> str:
    """Write `remote "origin"`, `url` as `remote.origin.url`."""
    head, _, rest = section.partition(" ")
    middle = f".{rest.strip().strip(chr(34))}" if rest else ""
    return f"{head.lower()}{middle}.{name.lower()}"
