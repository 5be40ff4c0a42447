"""Whatever a team does, in whatever order: no step runs that too few people stood behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from approval_machine import NAMES, Office
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from team import Team

people = st.sampled_from(["ada", "bob", "cleo", "dan"])
approvers = st.sampled_from(["bob", "bob", "cleo", "cleo", "dan", "ada"])
EXAMPLES = int(os.environ.get("PLANLOCK_TEST_EXAMPLES", "12"))


class TeamAtWork(RuleBasedStateMachine):
    """Edit, append, reorder, approve, reject, withdraw, expire, rotate keys, change policy, run."""

    template: ClassVar[Path]
    told: ClassVar[Counter[str]] = Counter()

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="planlock-office-"))
        self.office = Office.copy_of(self.template, self.folder / "team")
        self.office.propose("ada")

    @rule(data=st.data())
    def edit(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.office.contents)))
        self.office.contents[name] += 1
        self.office.propose(data.draw(st.sampled_from(["ada", "ada", "ada", "dan"])))

    @rule()
    def append(self) -> None:
        left = [name for name in NAMES if name not in self.office.contents]
        if left:
            self.office.contents[left[0]] = 0
            self.office.propose("ada")

    @rule(data=st.data())
    def reorder(self, data: st.DataObject) -> None:
        order = data.draw(st.permutations(sorted(self.office.contents)))
        self.office.contents = {name: self.office.contents[name] for name in order}
        self.office.propose("ada")

    @rule(who=approvers, bounds=st.sampled_from([{}, {}, {"expires": "2h"}, {"max_runs": 1}]))
    def approve_all(self, who: str, bounds: dict[str, Any]) -> None:
        self.office.decide(who, "approve", **bounds)

    @rule(who=approvers, data=st.data())
    def approve_one(self, who: str, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.office.contents)))
        self.office.decide(who, "approve", [name])

    @rule(who=people, data=st.data())
    def reject(self, who: str, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.office.contents)))
        self.office.decide(who, "reject", [name])

    @rule(who=approvers)
    def withdraw(self, who: str) -> None:
        self.office.decide(who, "withdraw")

    @rule(hours=st.sampled_from([1, 3, 24 * 6]))
    def wait(self, hours: int) -> None:
        self.office.now += timedelta(hours=hours)

    @rule(who=st.sampled_from(["bob", "cleo"]))
    def rotate_key(self, who: str) -> None:
        self.office.rotate_key(who)

    @rule(count=st.sampled_from([1, 2]))
    def change_policy(self, count: int) -> None:
        self.office.ask_for(count)

    @rule(new=st.sampled_from([False, False, True]))
    def run(self, new: bool) -> None:  # noqa: FBT001  # hypothesis passes drawn values by name
        self.office.run(new=new)

    @rule()
    def agree(self) -> None:
        for who in ("bob", "cleo"):
            self.office.decide(who, "approve")
        self.office.run(new=False)

    @rule(who=approvers)
    def change_the_end_and_go_on(self, who: str) -> None:
        last = list(self.office.contents)[-1]
        self.office.contents[last] += 1
        self.office.propose("ada")
        self.office.run(new=False)
        self.office.decide(who, "approve", [last])
        self.office.run(new=False)

    def teardown(self) -> None:
        if hasattr(self, "office"):
            self.agree()
            self.told.update(ran=self.office.ran, refused=self.office.refused)
            shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("office") / "team"
    team = Team.governed(folder, "bob", "cleo", "dan")
    assert "edit_file: 1" in (team.root / "plans/policy.yaml").read_text()
    return folder


def test_no_step_runs_that_too_few_people_stood_behind(template: Path) -> None:
    """After any sequence of acts, each executed step had its distinct people on that digest."""
    TeamAtWork.template = template
    run_state_machine_as_test(
        TeamAtWork,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    # else the invariant would hold for want of runs
    assert TeamAtWork.told["ran"] >= EXAMPLES
    assert TeamAtWork.told["refused"] >= EXAMPLES
