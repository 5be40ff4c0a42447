"""`run --from RUN:STEP` starts a run from what another had done before a step."""

from __future__ import annotations

from hashlib import sha256

import pytest
from forging import codes
from team import EDIT, FACTORIAL, READ, Team, command

MARK = command("echo one >> marks", name="mark", more="writes: [marks]\n")
LAST = command(
    'test "$(cat marks)" = one && echo last >> marks', name="last", more="writes: [marks]\n"
)
STEPS = READ + EDIT + MARK + LAST


def approved(team: Team, steps: str, *options: str) -> None:
    team.propose("job", steps)
    team.approve("bob", "job", *options)


def clean(team: Team) -> None:
    done = team.cli("ada", "audit")
    assert done.code == 0, done.text


@pytest.mark.usefixtures("confined")
def test_a_fork_goes_on_from_before_the_step(team: Team) -> None:
    """What comes before the step is not done again; its files and outputs are there."""
    approved(team, STEPS)
    assert team.cli("ada", "run", "job").code == 0
    done = team.cli("ada", "run", "job", "--from", "1:last")
    assert done.code == 0, done.text
    assert team.show_file("planlock/job/2", "marks") == "one\nlast"
    records = team.git("ls-tree", "--name-only", "planlock/job/2:plans/job/runs/2").split()
    assert records == [
        "001-last.yaml",
        "002-end.yaml",
        "002-end.yaml.sig",
        "run.yaml",
        "run.yaml.sig",
    ]
    assert team.git("ls-tree", "-d", "--name-only", "planlock/job/2:plans/job/runs").split() == [
        "1",
        "2",
    ]
    clean(team)


@pytest.mark.usefixtures("confined")
def test_a_fork_knows_its_two_parents(team: Team) -> None:
    """Its first commit follows the plan's branch and the other run, as its header says."""
    approved(team, STEPS)
    team.cli("ada", "run", "job")
    team.cli("ada", "run", "job", "--from", "job/1:mark", "--until", "mark")
    first = team.git("rev-list", "--first-parent", "planlock/job/2", "^plan/job").split()[-1]
    before = team.git("rev-parse", "planlock/job/1~3")
    assert team.git("show", "-s", "--format=%P", first).split() == [
        team.git("rev-parse", "plan/job"),
        before,
    ]
    header = team.show_file("planlock/job/2", "plans/job/runs/2/run.yaml")
    assert f"run: 1\n  step: mark\n  commit: {before}" in header
    assert "goes on from run job/1 before mark" in team.cli("ada", "log", "job/2").out
    shown = team.cli("ada", "log", "job/2", "--format", "markdown").out
    assert "run job/1 before mark" in shown
    assert team.git("diff", "--name-only", before, first, "--", ".", ":!plans") == ""
    clean(team)


@pytest.mark.usefixtures("confined")
def test_a_failed_step_can_be_tried_in_a_fork(team: Team) -> None:
    """The failed attempt stays with the other run."""
    approved(team, EDIT + command("false"))
    assert team.cli("ada", "run", "job").code == 5
    done = team.cli("ada", "run", "job", "--from", "1:check")
    assert done.code == 5, done.text
    assert "attempt: 1" in team.show_file("planlock/job/2", "plans/job/runs/2/001-check.yaml")
    clean(team)


def test_a_fork_of_a_fork_goes_on(team: Team) -> None:
    """Both runs that it goes back to are on its branch."""
    steps = EDIT + READ + READ.replace("id: read", "id: again")
    approved(team, steps)
    assert team.cli("ada", "run", "job").code == 0
    assert team.cli("ada", "run", "job", "--from", "1:read").code == 0
    done = team.cli("ada", "run", "job", "--from", "2:again")
    assert done.code == 0, done.text
    folders = team.git("ls-tree", "-d", "--name-only", "planlock/job/3:plans/job/runs").split()
    assert folders == ["1", "2", "3"]
    clean(team)


def test_a_fork_leaves_out_what_was_skipped(team: Team) -> None:
    """Skips before the step count in the fork; a later step needs a person who knows of them."""
    team.propose("job", READ + EDIT)
    assert team.cli("bob", "reject", "job", "--step", "read", "--reason", "no").code == 0
    team.approve("bob", "job", "--step", "edit")
    assert team.cli("ada", "run", "job").code == 0
    done = team.cli("ada", "run", "job", "--from", "1:edit")
    assert done.code == 0, done.text
    clean(team)


def test_an_approval_for_one_run_is_not_good_for_a_fork(team: Team) -> None:
    """A fork consumes approvals anew."""
    approved(team, READ + EDIT, "--max-runs", "1")
    assert team.cli("ada", "run", "job").code == 0
    done = team.cli("ada", "run", "job", "--from", "1:edit", "--json")
    assert done.code == 4
    assert "approval_consumed" in codes(done)


def test_a_changed_plan_cannot_be_forked_into(team: Team) -> None:
    """A step that counts as done must be the one that the plan has now."""
    approved(team, READ + EDIT)
    assert team.cli("ada", "run", "job").code == 0
    team.propose("job", READ.replace("Look", "Look twice") + EDIT)
    team.approve("bob", "job")
    done = team.cli("ada", "run", "job", "--from", "1:edit", "--json")
    assert (done.code, codes(done)) == (4, ["stale"])


def test_what_was_not_done_cannot_be_left_behind(team: Team) -> None:
    """A step that the other run never got to is no place to fork before."""
    approved(team, READ + EDIT + READ.replace("id: read", "id: again"))
    assert team.cli("ada", "run", "job", "--until", "read").code == 0
    done = team.cli("ada", "run", "job", "--from", "1:again", "--json")
    assert (done.code, codes(done)) == (4, ["not_done"])


@pytest.mark.parametrize(
    "name,code",
    [("1", 2), ("other/1:edit", 2), ("x:edit", 2), ("1:nothing", 3), ("7:edit", 3)],
)
def test_a_fork_names_a_run_and_a_step(team: Team, name: str, code: int) -> None:
    """Anything else is told, and starts nothing."""
    approved(team, READ + EDIT)
    assert team.cli("ada", "run", "job").code == 0
    assert team.cli("ada", "run", "job", "--from", name).code == code
    assert team.refs("refs/heads/planlock") == ["refs/heads/planlock/job/1"]


@pytest.mark.usefixtures("confined")
def test_what_was_taken_back_does_not_count_in_a_fork(team: Team) -> None:
    """A fork may leave before what was rolled back, not after it."""
    approved(team, STEPS)
    assert team.cli("ada", "run", "job").code == 0
    assert team.cli("ada", "rollback", "job/1", "--to", "mark", "--yes").code == 0
    done = team.cli("ada", "run", "job", "--from", "1:last", "--json")
    assert (done.code, codes(done)) == (4, ["rolled_back"])
    assert team.cli("ada", "run", "job", "--from", "1:mark").code == 0
    clean(team)


@pytest.mark.usefixtures("confined")
def test_a_fork_is_rolled_back_to_where_it_left(team: Team) -> None:
    """What the other run did is not the fork's to take back."""
    approved(team, STEPS)
    assert team.cli("ada", "run", "job").code == 0
    assert team.cli("ada", "run", "job", "--from", "1:last").code == 0
    assert team.cli("ada", "rollback", "job/2", "--to", "mark", "--yes").code == 2
    done = team.cli("ada", "rollback", "job/2", "--yes", "--json")
    assert done.json["steps"] == {"last": "none"}
    assert team.show_file("planlock/job/2", "marks") == "one"
    clean(team)


def test_a_step_that_was_changed_is_done_anew_in_a_fork(team: Team) -> None:
    """Only what comes before the step must be the same; it and what follows are the plan's now."""
    again = READ.replace("id: read", "id: again")
    approved(team, READ + EDIT + again)
    assert team.cli("ada", "run", "job").code == 0
    approved(team, READ + EDIT.replace("factorial", "fac") + again + READ.replace("read,", "more,"))
    done = team.cli("ada", "run", "job", "--from", "1:edit")
    assert done.code == 0, done.text
    assert "def fac(n)" in team.show_file("planlock/job/2", "utils.py")
    assert "more  completed" in done.out
    clean(team)


def test_an_open_run_can_be_left(team: Team) -> None:
    """A run that waits stays as it is; the fork is the newest run from then on."""
    approved(team, READ + EDIT + READ.replace("id: read", "id: again"))
    assert team.cli("ada", "run", "job", "--until", "edit").code == 0
    before = team.git("rev-parse", "planlock/job/1")
    done = team.cli("ada", "run", "job", "--from", "1:again")
    assert done.code == 0, done.text
    assert team.git("rev-parse", "planlock/job/1") == before
    assert team.git("rev-parse", "planlock/job/2~2^2") == before
    clean(team)


def test_a_file_that_a_fork_changes_is_the_other_runs(team: Team) -> None:
    """An edit that is pinned to what the other run wrote applies."""
    more = EDIT.replace("id: edit", "id: more").replace(
        "new_content: |", "replaces: PIN\n    new_content: |"
    )
    approved(team, EDIT)
    assert team.cli("ada", "run", "job").code == 0
    digest = "sha256:" + sha256(FACTORIAL.encode()).hexdigest()
    approved(team, EDIT + more.replace("PIN", digest).replace("n < 2", "n < 3"))
    done = team.cli("ada", "run", "job", "--from", "1:more")
    assert done.code == 0, done.text
    assert "n < 3" in team.show_file("planlock/job/2", "utils.py")
    clean(team)
