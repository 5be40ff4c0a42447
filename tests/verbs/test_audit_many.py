"""An audit of many runs: read many at a time, by several processes, with the same findings."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from many_runs import Size, build
from tampering import copy, findings, forging
from team import Team

from runner.core.errors import OutsideError
from runner.verbs import audit_processes
from runner.verbs.audit import MANY_RUNS

SIZE = Size(plans=2, runs=MANY_RUNS // 2 + 1, steps=3, files=3, leases=True)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return build(tmp_path_factory.mktemp("many"), SIZE)


def audited_by_several(team: Team) -> object:
    """Audit in a process of its own, which may copy itself."""
    command = "from runner.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command, "audit", "--json"],
        cwd=team.root,
        env={**team.environment("ada"), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    return json.loads(done.stdout)


def audited_by_one(team: Team) -> object:
    """Audit in this process, which has a second thread and so makes no copies."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        return team.cli("ada", "audit", "--json").json
    finally:
        over.set()
        thread.join()


def test_made_runs_are_sound(ready: Team) -> None:
    """What the generator writes is what git and the audit take for real runs."""
    ready.git("fsck", "--strict")
    done = ready.cli("ada", "audit", "--json")
    assert (done.code, done.json["findings"]) == (0, [])
    assert done.json["steps"] == SIZE.plans * SIZE.runs * SIZE.steps


def test_processes_find_what_one_finds(ready: Team, tmp_path: Path) -> None:
    """Whichever process audits a plan, findings and their order stay."""
    team = copy(ready, tmp_path)
    with forging(team) as forger:
        for run in ("plan-1/2", "plan-2/1", "plan-2/7"):
            forger.amend(f"planlock/{run}", {"slipped-in.txt": b"x\n"})
    assert audited_by_several(team) == audited_by_one(team)
    found = findings(team)
    assert all(run in found["unsigned_commit"] for run in ("plan-1/2", "plan-2/1", "plan-2/7"))


def test_changed_record_amid_many(ready: Team, tmp_path: Path) -> None:
    """One record that has had two versions is told with the commits that brought them."""
    team = copy(ready, tmp_path)
    path = "plans/plan-1/runs/9/002-s2.yaml"
    with forging(team) as forger:
        forger.append("main", {path: b"another\n"})
    found = findings(team)
    assert f"{path}: 2 versions, by commits" in found["record_changed"]


def test_many_are_told_in_their_order() -> None:
    """What processes give comes in the order of what they were given."""
    if audit_processes.count(2) > 1:
        given = list(range(20))
        assert list(audit_processes.each(str, given, processes=3)) == [str(each) for each in given]


def test_a_process_that_dies_is_an_error() -> None:
    """What one process did not tell is never left out."""
    if audit_processes.count(2) > 1:
        with pytest.raises(OutsideError, match="a process ended"):
            list(audit_processes.each(os._exit, [0, 0], processes=2))


@pytest.mark.parametrize("steps", [1, 61, 130])
def test_runs_of_any_length(tmp_path: Path, steps: int) -> None:
    """A run that is read in several portions is audited as one that fits into one."""
    size = dataclasses.replace(SIZE, plans=1, runs=1, steps=steps)
    team = build(tmp_path, size)
    done = team.cli("ada", "audit", "--json")
    assert (done.json["findings"], done.json["steps"]) == ([], steps)
