"""A team that works on a simulated forge: a bare home, a pull request, an executor elsewhere."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clones import MAIN, SOURCE
from team import EDIT, READ, Result, Team, call, command

from runner.core import reviews
from runner.simulator.control import ForgeControl
from runner.simulator.server import Forge, Server, running

NAME = "acme/shop"
IDS = {"ada": 1, "bob": 2, "carol": 3}
ROBOT = "robot"
STEPS = READ + EDIT + command("python3 -c 'import utils; print(utils.factorial(5))'")


@dataclass
class Desk:
    """`forge` plays the people; `executor` is a clone on another machine, with the runner's key."""

    team: Team
    remote: Path
    server: Server
    forge: ForgeControl
    machines: list[Path] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.server.address

    def machine(self, name: str) -> Path:
        """A fresh clone, as a job of a workflow has it."""
        folder = self.team.base / name
        if not folder.exists():
            self.team.git("clone", "-q", str(self.remote), str(folder), cwd=self.team.base)
            self.machines.append(folder)
        return folder

    def environment(self, **more: str) -> dict[str, str]:
        """What a job of a workflow is given."""
        return {
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_API_URL": self.url,
            "GITHUB_TOKEN": f"simulated-{ROBOT}",
            "PLANLOCK_RUNNER_KEY": str(self.team.root / ".git/planlock/runner_key"),
            **more,
        }

    def github(self, *args: str, on: str = "executor", **more: str) -> Result:
        """`planlock github …` as the robot, in a clone that belongs to nobody."""
        with self.as_pusher(ROBOT):
            return call(self.machine(on), self._of_machine(**more), "github", *args)

    def start(self, folder: Path, *args: str, **more: str) -> subprocess.Popen[str]:
        """The same as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", MAIN, "github", *args],
            cwd=folder,
            env={**self._of_machine(**more), "PYTHONPATH": SOURCE},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _of_machine(self, **more: str) -> dict[str, str]:
        env = self.team.environment("machine", self.environment(**more))
        return {name: value for name, value in env.items() if not name.startswith("GIT_AUTHOR_")}

    @contextlib.contextmanager
    def as_pusher(self, login: str) -> Iterator[None]:
        self.look()
        self.forge.pushes_as(login)
        try:
            yield
        finally:
            self.look()
            self.forge.pushes_as("ada")

    def look(self) -> None:
        """Let the forge see what was pushed by whom until now."""
        self.forge.get(f"/repos/{NAME}", "ada")

    def event(self, name: str, payload: Mapping[str, Any]) -> dict[str, str]:
        """What a workflow is told of its event."""
        path = self.team.base / f"event-{name}.json"
        path.write_text(json.dumps(payload))
        return {"GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(path)}

    def push(self, branch: str, by: str = "ada", *, folder: Path | None = None) -> None:
        """Push a branch, forced, as an account of the forge."""
        with self.as_pusher(by):
            self.team.git("push", "-q", "--force", "origin", branch, cwd=folder)

    def laptop(self, branch: str = "plan/job") -> Path:
        """Ada's other clone, with a branch of the home checked out."""
        folder = self.machine("laptop")
        self.team.git("fetch", "-q", "origin", cwd=folder)
        self.team.git("switch", "-q", "-C", branch, f"origin/{branch}", cwd=folder)
        return folder

    def propose(self, name: str = "job", steps: str = STEPS) -> int:
        """Ada proposes a plan, pushes it and opens its pull request."""
        self.team.propose(name, steps)
        self.push(f"plan/{name}")
        return self.forge.open(f"plan/{name}", by="ada")

    def digest(self, name: str = "job") -> str:
        shown = self.team.cli("ada", "show", name, "--json")
        assert shown.code == 0, shown.text
        return str(shown.json["digest"])

    def approve(self, number: int, by: str = "bob", name: str = "job") -> int:
        """Approve by the line that the comment offers."""
        return self.forge.review(number, by=by, body=reviews.line(self.digest(name)))

    def comments(self, number: int) -> list[str]:
        found = self.forge.get(f"/repos/{NAME}/issues/{number}/comments", "ada")
        return [each["body"] for each in found]

    def comment_of_plan(self, number: int, name: str = "job") -> str:
        start = f"<!-- planlock:plan:{name} -->"
        found = [each for each in self.comments(number) if each.startswith(start)]
        assert len(found) == 1, found
        return found[0]

    def answers(self, number: int) -> list[str]:
        return [each for each in self.comments(number) if "planlock:plan:" not in each]

    def check(self, number: int) -> dict[str, Any]:
        """The newest check run of a pull request's head."""
        return self.check_of(self.pull(number)["head"]["sha"])

    def check_of(self, commit: str) -> dict[str, Any]:
        """The newest check run of a commit."""
        found = self.forge.get(f"/repos/{NAME}/commits/{commit}/check-runs", "ada")["check_runs"]
        return dict(found[-1])

    def pull(self, number: int) -> dict[str, Any]:
        return dict(self.forge.get(f"/repos/{NAME}/pulls/{number}", "ada"))

    def pulls(self, branch: str) -> list[dict[str, Any]]:
        path = f"/repos/{NAME}/pulls?state=all&head=acme:{branch}"
        return list(self.forge.get(path, "ada"))

    def refs(self, prefix: str = "refs/heads/planlock/") -> list[str]:
        return self.team.git("for-each-ref", "--format=%(refname)", prefix, cwd=self.remote).split()

    def run_file(self, path: str, run: str = "planlock/job/1") -> str:
        return self.team.git("show", f"{run}:{path}", cwd=self.remote)

    def ran(self, run: str = "planlock/job/1") -> list[str]:
        """The steps that a run recorded as completed, from git."""
        if f"refs/heads/{run}" not in self.refs():
            return []
        lines = self.team.git(
            "log",
            "--reverse",
            "--format=%(trailers:key=Step,valueonly,separator=%x2C)"
            "/%(trailers:key=Step-Status,valueonly,separator=%x2C)",
            run,
            cwd=self.remote,
        ).splitlines()
        pairs = [line.split("/") for line in lines if line.strip("/")]
        return [step for step, status in pairs if status == "completed"]

    def audit(self) -> Result:
        folder = self.machine("auditor")
        self.team.git("fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*", cwd=folder)
        return self.team.cli("ada", "audit", cwd=folder)


@contextlib.contextmanager
def desk(base: Path, *, policy: str = "", files: Mapping[str, str] | None = None) -> Iterator[Desk]:
    """Ada, bob and carol with accounts, bob and carol as reviewers; `policy` is added to theirs."""
    team = Team.governed(base, "bob", "carol", files=files)
    remote = base / "remote.git"
    path = team.root / "plans/policy.yaml"
    text = path.read_text().replace("assurance: key ", "assurance: forge ")
    for name, number in IDS.items():
        old = f"principal: {name}@example.com, roles: [maintainer]"
        assert old in text, text
        text = text.replace(old, f"{old}, github: {{login: {name}, id: {number}}}")
    team.commit({"plans/policy.yaml": text + policy}, "Know the accounts")
    team.git("clone", "-q", "--bare", str(team.root), str(remote))
    team.git("remote", "add", "origin", str(remote))
    team.git("config", "planlock.home", str(remote))
    forge = Forge(remote, NAME)
    with running(forge) as server:
        control = ForgeControl(server.address, forge.control)
        for name, number in IDS.items():
            control.person(name, id=number, permission="write")
        control.person(ROBOT, id=41, permission="write", kind="Bot")
        control.pushes_as("ada")
        made = Desk(team=team, remote=remote, server=server, forge=control)
        yield made
        for folder in made.machines:
            shutil.rmtree(folder, ignore_errors=True)
