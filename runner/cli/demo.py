"""`demo`: the whole story in a throw-away repository, with the installed commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from runner.cli import demo_files, tampering
from runner.core.errors import OutsideError, SandboxUnavailable, UsageError
from runner.sandbox.commands import find_backend

PLAN = "add-factorial"
RUN = f"{PLAN}/1"


class DemoFailed(OutsideError):
    """A command of the demo ended otherwise than the story says."""

    code = "demo_failed"


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def demo(*, folder: Path | None) -> None:
    """Play the main job in a throw-away repository (FOLDER, which must not exist yet)."""
    if folder is not None and folder.exists():
        raise UsageError(f"making {folder}: it exists already", hint="name a new folder")
    base = folder or Path(tempfile.mkdtemp(prefix="planlock-demo-"))
    story = Story(base=base.resolve())
    story.set_up()
    confined = story.can_confine()
    story.propose_and_refuse()
    story.approve_and_run(confined=confined)
    if confined:
        story.look_back()
        story.tamper()
    story.say(f"The repository is {story.root}; look around with git log --all --graph.")


@dataclass(frozen=True, kw_only=True)
class Story:
    """Plays commands as ada, bob or mallory and checks that each ends as the story says."""

    base: Path

    @property
    def root(self) -> Path:
        return self.base / "calc"

    def say(self, text: str) -> None:
        click.echo("\n" + click.style(f"# {text}", fg="cyan", bold=True))

    def play(
        self, who: str, line: Sequence[str], *, code: int = 0, cwd: Path | None = None
    ) -> None:
        """Run one command, show it with its output; raises DemoFailed for another exit code."""
        prompt = click.style(f"{who}$", fg="green")
        click.echo(f"{prompt} {' '.join(_shown(word) for word in line)}")
        done = subprocess.run(
            _installed(line),
            cwd=cwd or self.root,
            env=self._environment(who),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        click.echo(done.stdout, nl=False)
        if done.returncode:
            click.echo(click.style(f"(exit code {done.returncode})", dim=True))
        if done.returncode != code:
            message = f"playing {' '.join(line)}: exit code {done.returncode}, not {code}"
            raise DemoFailed(message, hint=f"look at {self.root}")

    def _environment(self, who: str) -> Mapping[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TERM") if name in os.environ}
        return {
            **kept,
            "HOME": str(self.base / who),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": who.capitalize(),
            "GIT_AUTHOR_EMAIL": f"{who}@example.com",
            "GIT_COMMITTER_NAME": who.capitalize(),
            "GIT_COMMITTER_EMAIL": f"{who}@example.com",
            "GIT_PAGER": "cat",
            "PLANLOCK_MODEL_SCRIPT": str(self.base / "model.yaml"),
        }

    def set_up(self) -> None:
        """A small Python package with tests and a virtual environment, governed by ada."""
        self.say("A small Python package with its tests, and two people with SSH keys")
        for name, text in demo_files.PROJECT.items():
            _write(self.root / name, text)
        _write(self.base / "model.yaml", demo_files.MODEL_SCRIPT)
        for who in ("ada", "bob", "mallory"):
            (self.base / who).mkdir(parents=True, exist_ok=True)
        self.play("ada", ["git", "init", "-q", "-b", "main", "."])
        self.play("ada", [sys.executable, "-m", "venv", "--without-pip", ".venv"])
        self.play("ada", ["git", "add", "."])
        self.play("ada", ["git", "commit", "-q", "-m", "Start"])
        self.play("ada", ["planlock", "key", "new"])
        self.play("bob", ["planlock", "key", "new"])
        self.say("Ada says who may approve; it counts once it is committed")
        self.play("ada", ["planlock", "init"])
        bob = str(self.base / "bob" / ".ssh" / "id_ed25519.pub")
        self.play(
            "ada",
            ["planlock", "people", "add", "bob@example.com", "--key", bob, "--role", "maintainer"],
        )
        self.play("ada", ["git", "add", "plans"])
        self.play("ada", ["git", "commit", "-q", "-m", "Govern with planlock"])

    def can_confine(self) -> bool:
        try:
            find_backend("confined")
        except SandboxUnavailable as error:
            self.say(f"No sandbox here: {error.message}")
            click.echo(f"  hint: {error.hint}")
            return False
        return True

    def propose_and_refuse(self) -> None:
        self.say("A plan is written, checked and proposed on a branch of its own")
        _write(self.root / "plans" / PLAN / "plan.yaml", demo_files.PLAN)
        self.play("ada", ["planlock", "validate"])
        self.play("ada", ["planlock", "propose", PLAN])
        self.play("ada", ["planlock", "show", PLAN])
        self.say("Reading is free; the edit waits for a person, with the reason")
        self.play("ada", ["planlock", "run", PLAN], code=4)
        self.say("Its author may not approve it")
        self.play("ada", ["planlock", "approve", PLAN], code=4)

    def approve_and_run(self, *, confined: bool) -> None:
        self.say("A second person approves exactly this content, for seven days")
        self.play("bob", ["planlock", "approve", PLAN, "--reason", "read it"])
        self.play("ada", ["planlock", "status", PLAN])
        if not confined:
            self.say("The edit runs; the tests are refused, since nothing here can confine them")
            self.play("ada", ["planlock", "run", PLAN], code=4)
            return
        self.say("The run edits the file and runs the tests, confined, one signed commit a step")
        self.play("ada", ["planlock", "run", PLAN])

    def look_back(self) -> None:
        self.say("What happened, from git alone; what it cost; the database agrees with git")
        self.play("ada", ["planlock", "log", RUN])
        self.say("The run is done again in a scratch workspace: the same files come of it")
        self.play("ada", ["planlock", "replay", RUN])
        self.play("ada", ["git", "log", "--oneline", f"planlock/{RUN}"])
        self.play("ada", ["git", "diff", "main", f"planlock/{RUN}", "--", "calc"])
        self.play("ada", ["git", "status", "--short"])
        self.play("ada", ["planlock", "cost", RUN, "--by", "step"])
        self.play("ada", ["planlock", "ledger", "check"])
        self.say(
            "A command is edited after the approval: untouched steps stay approved, it is refused"
        )
        path = self.root / "plans" / PLAN / "plan.yaml"
        path.write_text(path.read_text().replace("-m unittest -q", "-m unittest -q; id"))
        self.play("ada", ["planlock", "propose", PLAN])
        self.play("ada", ["planlock", "run", PLAN, "--new"], code=4)
        self.say("The audit re-decides every step")
        self.play("ada", ["planlock", "audit"])

    def tamper(self) -> None:
        self.say("In a copy of the repository, mallory changes one record: the tests' exit code")
        copy = self.base / "tampered-record"
        shutil.copytree(self.root, copy, symlinks=True)
        tampering.change_record(copy, RUN, env=self._environment("mallory"))
        self.play("ada", ["planlock", "audit"], code=1, cwd=copy)
        self.say("In another, the whole chain of commits and records, consistently")
        copy = self.base / "rewritten-chain"
        shutil.copytree(self.root, copy, symlinks=True)
        tampering.rewrite_chain(copy, RUN, env=self._environment("mallory"))
        self.play("ada", ["planlock", "audit"], code=1, cwd=copy)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _installed(line: Sequence[str]) -> list[str]:
    """`planlock` as installed beside this interpreter, whatever PATH says."""
    beside = Path(sys.executable).parent / "planlock"
    return [str(beside), *line[1:]] if line[0] == "planlock" and beside.exists() else list(line)


def _shown(word: str) -> str:
    short = "python3" if word == sys.executable else word
    return f'"{short}"' if " " in short else short
