"""The workflows, really run: nektos/act on this machine, without containers, against the forge."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desk import NAME, ROBOT, Desk

ROOT = Path(__file__).parents[2]
CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683"
# What `actions/checkout` does with these inputs; the real one lies on a server that tests do not ask.
STAND_IN = """\
name: checkout
description: Checks out a branch of the home, with its whole history and no credentials.
inputs:
  ref: {required: true}
  fetch-depth: {required: true}
  persist-credentials: {required: true}
runs:
  using: composite
  steps:
    - shell: bash
      env: {REF: "${{ inputs.ref }}"}
      run: |
        find . -mindepth 1 -maxdepth 1 -exec rm -rf {} +
        git init -q .
        git remote add origin "$CHECKOUT_FROM"
        git fetch -q origin "+refs/heads/*:refs/remotes/origin/*"
        git checkout -q -B "$REF" "origin/$REF"
"""


def program() -> Path:
    """`act`, as the tests' packages bring it."""
    return Path(sys.executable).with_name("act")


def workflow_files() -> dict[str, str]:
    """What a repository needs so that its pull requests are a desk."""
    found = [path for path in (ROOT / ".github").rglob("*") if path.is_file()]
    return {
        str(path.relative_to(ROOT)): path.read_text() for path in found if path.name != "ci.yml"
    }


@dataclass(frozen=True)
class Acted:
    """How a workflow ended; `text` is all that act said."""

    code: int
    text: str

    @property
    def jobs(self) -> list[str]:
        return [line for line in self.text.splitlines() if "🏁" in line]


@dataclass
class Act:
    """Runs workflows as a runner does, in a folder of their own each time."""

    desk: Desk
    count: int = 0

    def run(self, event: str, workflow: str, payload: Mapping[str, Any], **env: str) -> Acted:
        """Run a workflow of the default branch for an event."""
        with self.desk.as_pusher(ROBOT):
            process = self.start(event, workflow, payload, **env)
            text, _ = process.communicate()
        return Acted(process.returncode, text)

    def start(
        self, event: str, workflow: str, payload: Mapping[str, Any], **env: str
    ) -> subprocess.Popen[str]:
        self.count += 1
        base = self.desk.team.base
        work = base / f"runner-{self.count}"
        self.desk.team.git("clone", "-q", str(self.desk.remote), str(work), cwd=base)
        file = base / f"payload-{self.count}.json"
        repository = {"default_branch": "main", "full_name": NAME}
        file.write_text(json.dumps({"repository": repository, **payload}))
        key = (self.desk.team.root / ".git/planlock/runner_key").read_text()
        secrets = base / f"secrets-{self.count}"
        secrets.write_text(
            f"GITHUB_TOKEN=simulated-{ROBOT}\nPLANLOCK_RUNNER_KEY={json.dumps(key)}\n"
        )
        given = {
            "CHECKOUT_FROM": str(self.desk.remote),
            "GITHUB_API_URL": self.desk.url,
            "GITHUB_REPOSITORY": NAME,
            **env,
        }
        words = [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
        return subprocess.Popen(
            [
                *(str(program()), event, "-W", f".github/workflows/{workflow}.yml"),
                *("-e", str(file), "-P", "ubuntu-24.04=-self-hosted"),
                *("--local-repository", f"{CHECKOUT}={self._checkout()}"),
                *("--secret-file", str(secrets), "--defaultbranch", "main"),
                *("--action-offline-mode", *words),
            ],
            cwd=work,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _environment(self) -> dict[str, str]:
        """A runner that has planlock already, as its own set-up allows."""
        home = self.desk.team.base / "runner-home"
        home.mkdir(exist_ok=True)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8"}

    def _checkout(self) -> Path:
        folder = self.desk.team.base / "checkout"
        if not folder.exists():
            folder.mkdir()
            (folder / "action.yml").write_text(STAND_IN)
            self.desk.team.git("init", "-q", ".", cwd=folder)
            self.desk.team.git("add", ".", cwd=folder)
            self.desk.team.git("commit", "-q", "-m", "Stand in", cwd=folder)
        return folder


def is_there() -> bool:
    return program().exists() and shutil.which("git") is not None
