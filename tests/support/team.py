"""A real repository with real people: keys from ssh-keygen, git run for real, the CLI called."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.cli.main import main

UTILS = "def add(a, b):\n    return a + b\n"
FACTORIAL = UTILS + "\n\ndef factorial(n):\n    return 1 if n < 2 else n * factorial(n - 1)\n"
CHECK = "python3 -c 'import utils; print(utils.factorial(5))'"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def text(self) -> str:
        return self.out + self.err


@contextlib.contextmanager
def surroundings(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Be in a folder with an environment, and come back."""
    before, there = dict(os.environ), Path.cwd()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(there)
        os.environ.clear()
        os.environ.update(before)


def call(folder: Path, environment: Mapping[str, str], *args: str) -> Result:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        surroundings(folder, environment),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main(list(args))
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
    return Result(code, out.getvalue(), err.getvalue())


def make_key(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path


@dataclass
class Team:
    """People around one repository; `who` is the local part of an address at example.com."""

    base: Path
    root: Path
    keys: dict[str, Path] = field(default_factory=dict)

    @classmethod
    def start(cls, base: Path, files: Mapping[str, str] | None = None) -> Team:
        """Make a repository with one commit on `main`, not governed yet."""
        team = cls(base=base, root=base / "project")
        team.root.mkdir(parents=True)
        team.git("init", "-q", "-b", "main", ".")
        team.commit(files or {"utils.py": UTILS, ".gitignore": "__pycache__/\n"}, "Start")
        return team

    @classmethod
    def governed(
        cls, base: Path, *people: str, files: Mapping[str, str] | None = None, solo: bool = False
    ) -> Team:
        """Make a repository governed by ada, with these people as maintainers too."""
        team = cls.start(base, files)
        assert team.cli("ada", "init", *(["--solo"] if solo else [])).code == 0
        for name in people:
            key = f"{team.key(name)}.pub"
            done = team.cli(
                "ada", "people", "add", f"{name}@example.com", "--key", key, "--role", "maintainer"
            )
            assert done.code == 0, done.text
        team.git("add", "plans")
        team.git("commit", "-q", "-m", "Govern")
        return team

    def key(self, who: str) -> Path:
        if who not in self.keys:
            self.keys[who] = make_key(self.base / "keys" / who)
        return self.keys[who]

    def environment(self, who: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        home = self.base / "home" / who
        home.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": who,
            "GIT_AUTHOR_EMAIL": f"{who}@example.com",
            "GIT_COMMITTER_NAME": who,
            "GIT_COMMITTER_EMAIL": f"{who}@example.com",
            "PLANLOCK_KEY": str(self.key(who)),
            **(extra or {}),
        }

    def cli(
        self, who: str, *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Result:
        return call(cwd or self.root, self.environment(who, env), *args)

    def git(
        self,
        *args: str,
        who: str = "ada",
        cwd: Path | None = None,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
    ) -> str:
        done = subprocess.run(
            ["git", *args],
            cwd=cwd or self.root,
            env=self.environment(who, env),
            input=stdin.encode(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, f"git {args}: {done.stderr.decode()}"
        return done.stdout.decode().strip()

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, files: Mapping[str, str], message: str, who: str = "ada") -> str:
        self.write(files)
        self.git("add", "--", *files, who=who)
        self.git("commit", "-q", "-m", message, who=who)
        return self.git("rev-parse", "HEAD")

    def policy(self, old: str, new: str) -> None:
        """Change the policy's text and commit it on the trusted branch."""
        path = self.root / "plans/policy.yaml"
        text = path.read_text()
        assert old in text, f"{old!r} is not in the policy"
        self.commit({"plans/policy.yaml": text.replace(old, new)}, "Change the policy")

    def plan(self, name: str, steps: str, extra: str = "") -> Path:
        """Write a plan file; `steps` is YAML at column 0."""
        text = f"version: 1\nid: {name}\ngoal: Do {name}\n{extra}steps:\n"
        self.write({f"plans/{name}/plan.yaml": text + textwrap.indent(steps, "  ")})
        return self.root / f"plans/{name}/plan.yaml"

    def propose(self, name: str, steps: str, who: str = "ada", extra: str = "") -> str:
        """Write and propose a plan; the plan's branch tip is given back."""
        self.plan(name, steps, extra)
        done = self.cli(who, "propose", name, "--json")
        assert done.code == 0, done.text
        return str(done.json["commit"])

    def approve(self, who: str, name: str, *options: str) -> Result:
        done = self.cli(who, "approve", name, *options, "--json")
        assert done.code == 0, done.text
        return done

    def show_file(self, ref: str, path: str) -> str:
        return self.git("show", f"{ref}:{path}")

    def refs(self, prefix: str) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname)", prefix).split()


READ = "- {id: read, step_type: read_file, description: Look, input: {path: utils.py}}\n"
EDIT = """\
- id: edit
  step_type: edit_file
  description: Add factorial()
  input:
    path: utils.py
    new_content: |
""" + textwrap.indent(FACTORIAL, "      ")


def command(text: str, *, name: str = "check", more: str = "") -> str:
    """A run_command step."""
    step = f"- id: {name}\n  step_type: run_command\n  description: Run it\n  input:\n"
    return step + f"    command: {json.dumps(text)}\n" + textwrap.indent(more, "    ")
