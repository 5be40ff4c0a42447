"""What a review of control, replay and rollback found, and what must happen."""

from __future__ import annotations

from pathlib import Path

import pytest
from team import EDIT, READ, Team, call, command

from runner.core.record import build_record
from runner.project import Project, World, real_world
from runner.steps.contract import Failure, Output
from runner.verbs import holder, replay_compare, taking
from runner.verbs.control import RunOver


def done(team: Team, steps: str) -> None:
    team.propose("job", steps)
    team.approve("bob", "job")
    ran = team.cli("ada", "run", "job")
    assert ran.code == 0, ran.text


def test_a_run_that_has_ended_is_not_taken_over(team: Team) -> None:
    """Whoever looked while it was open, and takes it when it is over, adds no second end."""
    done(team, READ)
    with Project(_world(team)) as project:
        authority = project.authority()
        with pytest.raises(RunOver):
            taking.take_over(project, "job", 1, authority=authority, listener=lambda _: None)
    assert team.cli("ada", "audit").code == 0


def _world(team: Team) -> World:
    made = real_world(team.root)
    return World(
        now=made.now,
        random=made.random,
        environment=team.environment("ada"),
        folder=team.root,
    )


def test_nothing_takes_a_cancel_back(team: Team) -> None:
    """A pause after it is refused, and so is going on."""
    team.propose("job", READ + EDIT)
    team.cli("ada", "run", "job")
    (team.root / ".git/planlock/runner_key").rename(team.base / "key")
    asked = team.cli("bob", "cancel", "job")
    assert asked.code != 0, asked.text
    for verb in ("pause", "resume"):
        refused = team.cli("ada", verb, "job")
        assert refused.code == 4, refused.text
    (team.base / "key").rename(team.root / ".git/planlock/runner_key")
    assert team.cli("ada", "cancel", "job").code == 0
    assert "cancelled" in team.cli("ada", "status", "job").out


def test_a_holder_elsewhere_is_not_gone() -> None:
    """Where process ids are counted apart, nobody here can tell who lives there."""
    name = holder.this_process()
    assert not holder.gone(name)
    *rest, namespace = name.split("/")
    here_dead = "/".join([*rest[:2], "999999999", rest[3], namespace])
    assert holder.gone(here_dead)
    assert not holder.gone("/".join([*rest[:2], "999999999", rest[3], "1"]))


FOLDER = "rm a && mkdir a && echo two > a/b"


@pytest.fixture
def with_a(tmp_path: Path) -> Team:
    return Team.governed(tmp_path, "bob", files={"a": "one\n", "utils.py": "x = 1\n"})


@pytest.mark.usefixtures("confined")
class TestFolderWhereAFileWas:
    STEPS = command(FOLDER, name="mess", more='writes: [a, "a/**"]\n') + command(
        "cat a/b", name="look"
    )

    def test_it_is_replayed(self, with_a: Team) -> None:
        """The second step finds what the first left."""
        done(with_a, self.STEPS)
        again = with_a.cli("ada", "replay", "job")
        assert again.code == 0, again.text
        assert "the same files, and every output" in again.out

    def test_it_is_taken_back_after_merging(self, with_a: Team) -> None:
        """What is a folder now is not what somebody else made of the file."""
        done(with_a, self.STEPS)
        (with_a.root / "plans/job/plan.yaml").unlink()
        with_a.git("merge", "-q", "planlock/job/1")
        back = with_a.cli("ada", "rollback", "job", "--yes")
        assert back.code == 0, back.text
        assert with_a.show_file("rollback/job-1", "a") == "one"


@pytest.mark.parametrize("recorded,now,same", [(1, 1, True), (1, 12, False), (0, 1, False)])
def test_replay_compares_exit_codes_exactly(recorded: int, now: int, *, same: bool) -> None:
    """One that begins like the recorded one is another one."""
    code = Failure(code="step_failed", message="x")
    record = build_record(
        {
            "version": 1,
            "kind": "step",
            "previous": "sha256:" + "0" * 64,
            "started_at": "2026-11-22T10:00:00Z",
            "ended_at": "2026-11-22T10:00:00Z",
            "executor": {"planlock": "0", "platform": "x"},
            "status": "failed",
            "error": {"code": "step_failed", "message": "x"},
            "exit_code": recorded,
        },
        file="record",
    )
    found = replay_compare.outcome(record, Output(failure=code, exit_code=now))
    assert (found is None) == same


def test_what_was_not_confined_is_not_done_again(tmp_path: Path) -> None:
    """Its effects elsewhere would happen twice."""
    team = Team.governed(tmp_path, "bob")
    team.policy("require: confined", "require: none")
    outside = tmp_path / "paid"
    done(team, command(f"echo paid >> {outside}"))
    assert outside.read_text() == "paid\n"
    again = call(team.root, team.environment("ada"), "replay", "job")
    assert again.code == 0, again.text
    assert "not confined" in again.out
    assert outside.read_text() == "paid\n"


@pytest.mark.parametrize("kind", ["control", "leases"])
def test_what_cannot_be_read_of_one_run_hides_no_other(team: Team, kind: str) -> None:
    """`status` tells of it, and `gc` leaves its files alone; the other run is told and cleaned."""
    for name in ("job", "other"):
        team.propose(name, READ + EDIT)
        assert team.cli("ada", "run", name, "--until", "read").code == 0
    team.git("update-ref", f"refs/planlock/{kind}/job/1", "refs/heads/main")
    (looked,) = team.cli("ada", "status", "--json").json
    found = {each["plan"]: each for each in looked["open"]}
    assert found["job"]["status"] == "unreadable"
    assert found["other"]["status"] == "paused"
    report = team.cli("ada", "gc", "--json")
    assert report.code == 0, report.text
    assert any("job/1" in each for each in report.json["kept"])
