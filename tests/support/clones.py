"""A bare remote that arbitrates between two clones."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from team import Result, Team

MAIN = "import sys; from runner.cli.main import main; main(sys.argv[1:])"
SOURCE = str(Path(__file__).parents[2])


@dataclass(frozen=True)
class Clones:
    """Ada's and Bob's clones of one remote, both with the same runner's key."""

    team: Team
    remote: Path
    ada: Path
    bob: Path

    @classmethod
    def make(cls, base: Path) -> Clones:
        """A remote governed by ada, with bob as one of the people, and a clone of each."""
        remote = base / "remote.git"
        team = Team.start(base)
        team.git("clone", "-q", "--bare", str(team.root), str(remote))
        team.git("remote", "add", "origin", str(remote))
        assert team.cli("ada", "init").code == 0
        key = f"{team.key('bob')}.pub"
        assert team.cli("ada", "people", "add", "bob@example.com", "--key", key).code == 0
        team.git("add", "plans")
        team.git("commit", "-q", "-m", "Govern")
        team.git("push", "-q", "origin", "main")
        team.git("clone", "-q", str(remote), str(base / "bob"))
        return cls(team=team, remote=remote, ada=team.root, bob=base / "bob")

    def run(self, who: str, *args: str) -> Result:
        return self.team.cli(who, *args, cwd=getattr(self, who), env=self.extra)

    @property
    def extra(self) -> dict[str, str]:
        return {"PLANLOCK_RUNNER_KEY": str(self.ada / ".git/planlock/runner_key")}

    def start(self, who: str, *args: str) -> subprocess.Popen[str]:
        environment = {**self.team.environment(who, self.extra), "PYTHONPATH": SOURCE}
        return subprocess.Popen(
            [sys.executable, "-c", MAIN, *args],
            cwd=getattr(self, who),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def refs(self, folder: Path | None = None) -> dict[str, str]:
        lines = self.team.git(
            "for-each-ref", "--format=%(refname) %(objectname)", cwd=folder or self.remote
        )
        pairs = [line.split(" ") for line in lines.splitlines()]
        return {name: oid for name, oid in pairs if "planlock/seen" not in name}

    def git(self, who: str, *args: str) -> str:
        return self.team.git(*args, cwd=getattr(self, who), who=who)

    def propose(self, name: str, steps: str) -> None:
        """Ada proposes and pushes, Bob approves and pushes."""
        self.team.plan(name, steps)
        assert self.run("ada", "propose", name).code == 0
        self.git("ada", "push", "-q", "origin", f"plan/{name}")
        approved = self.run("bob", "approve", name, "--max-runs", "1")
        assert approved.code == 0, approved.text
        self.git("bob", "push", "-q", "origin", f"plan/{name}")

    def push_empty_plans(self, *names: str) -> None:
        """Bob makes plan branches in the remote, of which ada's clone has heard."""
        self.git("bob", "push", "-q", "origin", *(f"main:refs/heads/plan/{name}" for name in names))
        self.git("ada", "fetch", "-q", "origin")
