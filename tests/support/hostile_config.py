"""A repository in which every setting, hook and attribute that names a program names a trap."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from team import Team

HOOKS = {
    "reference-transaction": "git update-ref refs/x/y HEAD",
    "post-index-change": "git update-index --force-write-index",
    "pre-push": "git push --receive-pack=git-receive-pack {home} HEAD:refs/heads/pushed",
    "post-checkout": "git checkout --detach",
    "pre-commit": "git commit --allow-empty -m x",
    "commit-msg": "git commit --allow-empty -m x",
    "post-commit": "git commit --allow-empty -m x",
    "post-rewrite": "git commit --amend --allow-empty -m y",
}


@dataclass(frozen=True, kw_only=True)
class Vector:
    """Settings with `{trap}` for the program; `control` is a script in which git starts it."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    control: str


def _setting(name: str, control: str, value: str = "{trap}", **more: str) -> Vector:
    settings = {name: value} | {key.replace("__", "."): each for key, each in more.items()}
    return Vector(name=name, settings=settings, control=control)


SETTINGS = (
    _setting("core.fsmonitor", "git status"),
    _setting("filter.clean.clean", "touch f.clean; git add --renormalize f.clean"),
    _setting("filter.smudge.smudge", "rm f.smudge; git checkout -- f.smudge"),
    _setting("filter.process.process", "touch f.process; git add --renormalize f.process"),
    _setting("diff.conv.textconv", "git log -p -- f.conv"),
    _setting("diff.driver.command", "git diff {empty} HEAD -- f.driver"),
    _setting("diff.external", "git diff {empty} HEAD -- utils.py"),
    _setting(
        "merge.driver.driver",
        "for n in 1 2; do git checkout -f -B m$n main; echo $n > f.merge; git add f.merge; "
        "git commit -m $n; done; git merge m1",
    ),
    _setting("core.sshCommand", "git ls-remote ssh://localhost/x"),
    _setting("core.gitProxy", "git ls-remote git://127.0.0.1:1/x"),
    _setting("core.alternateRefsCommand", "git fetch --upload-pack=git-upload-pack {home} main"),
    _setting("remote.{home}.uploadpack", "git ls-remote {home}"),
    _setting("remote.{home}.receivepack", "git push {home} HEAD:refs/heads/received"),
    _setting("credential.helper", "printf 'protocol=https\\nhost=h\\n\\n' | git credential fill"),
    _setting("core.askPass", "printf 'protocol=https\\nhost=h\\n\\n' | git credential fill"),
    _setting("core.editor", "git branch --edit-description main"),
    _setting("sequence.editor", "git checkout -f main; git commit -a -m x; git rebase -i HEAD~1"),
    _setting("core.pager", "script -qec 'git log -1' /dev/null"),
    _setting("pager.show", "script -qec 'git show -q' /dev/null"),
    _setting("gpg.program", "git -c gpg.format=openpgp commit -S --allow-empty -m x"),
    _setting(
        "gpg.ssh.program",
        "git log --show-signature {run}",
        log__showSignature="true",
        gpg__ssh__allowedSignersFile="/dev/null",
    ),
    _setting("gpg.ssh.defaultKeyCommand", "git -c gpg.format=ssh commit -S --allow-empty -m x"),
    _setting("alias.evil", "git evil", "!{trap}"),
    _setting("submodule.sub.update", "git submodule update --force sub", "!{trap}"),
    _setting("protocol.ext.allow", "git ls-remote 'ext::{trap}'", "always"),
)
VARIABLES = tuple(
    Vector(name=name, env={name: "{trap}"}, control=control)
    for name, control in {
        "GIT_SSH": "cd ..; git ls-remote ssh://localhost/x",
        "GIT_SSH_COMMAND": "git ls-remote ssh://localhost/x",
        "GIT_PROXY_COMMAND": "git ls-remote git://127.0.0.1:1/x",
        "GIT_EXTERNAL_DIFF": "git diff {empty} HEAD -- utils.py",
        "GIT_EDITOR": "git branch --edit-description main",
        "GIT_ASKPASS": "printf 'protocol=https\\nhost=h\\n\\n' | git credential fill",
        "GIT_PAGER": "script -qec 'git log -1' /dev/null",
        # Part of what git needs for a setting from the environment.
        "GIT_CONFIG_VALUE_0": "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.fsmonitor git status",
    }.items()
)
ATTRIBUTES = """\
f.clean filter=clean
f.smudge filter=smudge
f.process filter=process
f.merge merge=driver
"""
# With the traps in these places git sees no change, and checks nothing out.
WITHOUT = {
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "core.fsmonitor",
    "GIT_CONFIG_VALUE_0": "false",
    "GIT_CONFIG_KEY_1": "filter.process.process",
    "GIT_CONFIG_VALUE_1": "",
}
EMPTY = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@dataclass(frozen=True)
class Hostile:
    """A governed repository with a bare remote as its home."""

    team: Team
    home: str

    @classmethod
    def start(cls, base: Path) -> Hostile:
        names = ("clean", "smudge", "process", "conv", "driver", "merge")
        files = {f"f.{name}": f"{name}\n" for name in names}
        files |= {"utils.py": "ONE = 1\n", ".gitattributes": ATTRIBUTES}
        team = Team.start(base, files)
        home = f"file://{base}/home.git"
        team.git("clone", "-q", "--bare", str(team.root), f"{base}/home.git")
        team.git("remote", "add", "origin", home)
        assert team.cli("ada", "init", "--solo").code == 0
        made = cls(team=team, home=home)
        made._add_submodule()
        team.git("add", "plans", ".gitmodules")
        team.git("commit", "-q", "-m", "Govern")
        team.git("push", "-q", home, "main")
        made._plant()
        return made

    def _add_submodule(self) -> None:
        gitlink = f"160000,{self.team.git('rev-parse', 'HEAD')},sub"
        self.team.write({".gitmodules": f'[submodule "sub"]\n\tpath = sub\n\turl = {self.home}\n'})
        self.team.git("update-index", "--add", "--cacheinfo", gitlink)
        url = ("-c", "protocol.file.allow=always")
        self.team.git(*url, "submodule", "update", "--init", "-q", "sub")
        # The update command is for a submodule that is elsewhere than the commit says.
        self.team.git(
            "commit", "-q", "--allow-empty", "-m", "Elsewhere", cwd=self.team.root / "sub"
        )

    def _plant(self) -> None:
        """Spread the settings over the files that git reads, and plant hooks and attributes."""
        git = self.team.root / ".git"
        self.team.git("config", "extensions.worktreeConfig", "true")
        self.team.git("config", "include.path", str(self.team.base / "included"))
        name = f"includeIf.gitdir:{self.team.base}/**.path"
        self.team.git("config", name, str(self.team.base / "included-if"))
        places: list[tuple[str, ...]] = [("--local",), ("--worktree",)]
        places += [("--file", str(self.team.base / each)) for each in ("included", "included-if")]
        for number, vector in enumerate(SETTINGS):
            for key, value in vector.settings.items():
                filled = self.filled(value, vector)
                self.team.git("config", *places[number % 4], self.filled(key, vector), filled)
        (git / "info/attributes").write_text("f.conv diff=conv\nf.driver diff=driver\n")
        other = self.team.base / "other.git"
        self.team.git("clone", "-q", "--bare", self.home, str(other))
        (git / "objects/info/alternates").write_text(f"{other}/objects\n")
        for hook in HOOKS:
            (git / "hooks" / hook).symlink_to(self.trap(hook))
        self.forget()

    def trap(self, name: str) -> Path:
        """A program that leaves a mark."""
        folder, marks = self.team.base / "traps", self.team.base / "marks"
        folder.mkdir(exist_ok=True)
        marks.mkdir(exist_ok=True)
        program = folder / _plain(name)
        program.write_text(f"#!/bin/sh\n: > '{self.mark(name)}'\n")
        program.chmod(0o755)
        return program

    def mark(self, name: str) -> Path:
        return self.team.base / "marks" / _plain(name)

    def marks(self) -> set[str]:
        return {path.name for path in (self.team.base / "marks").iterdir()}

    def forget(self) -> None:
        for path in (self.team.base / "marks").iterdir():
            path.unlink()

    def filled(self, text: str, vector: Vector) -> str:
        values = {"trap": str(self.trap(vector.name)), "home": self.home, "empty": EMPTY}
        for name, value in {**values, "run": "planlock/job/1"}.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def variables(self) -> dict[str, str]:
        """All hostile variables at once, and a repository elsewhere."""
        found = {
            name: self.filled(text, each) for each in VARIABLES for name, text in each.env.items()
        }
        elsewhere = str(self.team.base / "home.git")
        places = {"GIT_DIR": elsewhere, "GIT_WORK_TREE": "/", "GIT_COMMON_DIR": elsewhere}
        places |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsmonitor"}
        return found | places | {"GIT_OBJECT_DIRECTORY": "/", "GIT_INDEX_FILE": "/x"}

    def plain(self, vector: Vector) -> None:
        """Run the control: git as a person would call it; its outcome does not matter."""
        env = {name: self.filled(text, vector) for name, text in vector.env.items()}
        if not any(word in vector.control + vector.name for word in ("fsmonitor", "process")):
            env |= WITHOUT
        subprocess.run(
            ["sh", "-c", self.filled(vector.control, vector)],
            cwd=self.team.root,
            env=self.team.environment("ada", env),
            input=b"",
            capture_output=True,
            check=False,
            timeout=60,
        )


def _plain(name: str) -> str:
    return name.replace("{", "").replace("}", "")
