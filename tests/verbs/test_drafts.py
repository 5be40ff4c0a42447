"""Steps that say only what is wanted: drafted by a model in the run, read by people, then done."""

from __future__ import annotations

from pathlib import Path

import pytest
from drafts import DRAFT, MODEL, PLAN, WISH, proposed, records, run, script, statuses
from forging import answer, codes
from tampering import findings
from team import FACTORIAL, UTILS, Team

FREE = "rules: [{name: free, match: {path: '**'}, approvals: 0}]"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A model that writes factorial()."""
    return script(tmp_path)


@pytest.fixture
def drafted(team: Team, env: dict[str, str]) -> Team:
    """The run has read, had the edit drafted, and waits."""
    proposed(team)
    done = run(team, env)
    assert (done.code, codes(done)) == (4, ["approvals_missing"]), done.text
    return team


def test_the_whole_story(drafted: Team, env: dict[str, str]) -> None:
    """Drafted, shown, approved by who did not ask for it, done as approved; the audit is clean."""
    team = drafted
    assert records(team) == ["read", "draft-write"]
    assert team.show_file("planlock/job/1", "utils.py") == UTILS.strip()
    shown = team.cli("bob", "show", "job")
    assert f"as amended by run 1: write was drafted by {MODEL}" in " ".join(shown.out.split())
    assert "+def factorial(n):" in shown.out
    assert f"instruction: {WISH}" in shown.out
    team.approve("bob", "job")
    assert run(team, env).code == 0
    assert team.show_file("planlock/job/1", "utils.py") == FACTORIAL.strip()
    assert records(team) == ["read", "draft-write", "write", "last", "end"]
    assert findings(team) == {}


class TestWaiting:
    """What people see and sign while a draft waits."""

    def test_nothing_is_approved_beforehand(self, team: Team, env: dict[str, str]) -> None:
        """An approval of the instruction says what it is not good for, and the draft waits."""
        proposed(team)
        done = team.cli("bob", "approve", "job")
        assert "write is drafted by a model when the run gets there" in " ".join(done.text.split())
        assert codes(run(team, env)) == ["approvals_missing", "approval_stale"]
        assert "not_drafted" not in run(team, env).out

    def test_A44_a_guarded_file_goes_to_no_model_unasked(
        self, team: Team, env: dict[str, str]
    ) -> None:
        """Where a rule names the path the instruction is approved first, and the text after it."""
        guarded = "rules: [{name: ours, match: {path: utils.py}, approvals: 1}]"
        team.policy("rules: []", guarded)
        proposed(team)
        assert codes(run(team, env)) == ["approvals_missing"]
        assert records(team) == ["read"]
        team.approve("bob", "job")
        assert codes(run(team, env)) == ["approvals_missing", "approval_stale"]
        assert records(team) == ["read", "draft-write"]
        team.approve("bob", "job")
        assert run(team, env).code == 0
        assert findings(team) == {}

    def test_a_draft_of_what_is_free_waits_too(self, team: Team, env: dict[str, str]) -> None:
        """Where the policy asks for nobody, a model's text still waits for somebody."""
        team.policy("rules: []", FREE)
        proposed(team)
        assert codes(run(team, env)) == ["approvals_missing"]
        assert "1 approval by a person (a model's draft)" in team.cli("bob", "show", "job").out
        status = team.cli("bob", "status", "job", "--json").json
        assert [each["status"] for each in status["steps"]] == ["completed", "waiting", "ready"]
        team.approve("bob", "job", "--step", "write")
        assert run(team, env).code == 0
        assert findings(team) == {}

    def test_status_and_review_speak_of_the_draft(self, drafted: Team) -> None:
        """They judge the plan with the text in it, and say who wrote that."""
        found = drafted.cli("bob", "status", "job", "--json").json
        assert found["amended"] == f"as amended by run 1: write was drafted by {MODEL}"
        assert [each["status"] for each in found["steps"]] == ["completed", "waiting", "waiting"]
        assert found["run_status"] == "awaiting_approval"
        assert f"write was drafted by {MODEL}" in drafted.cli("bob", "status", "job").out
        (mine,) = drafted.cli("bob", "review", "--json").json["mine"]
        assert mine["steps"] == ["write", "last"]

    def test_diff_shows_what_came_for_the_instruction(
        self, team: Team, env: dict[str, str]
    ) -> None:
        """Who approved the instruction sees the text as a change of the file."""
        proposed(team)
        team.approve("bob", "job")
        run(team, env)
        found = team.cli("bob", "diff", "job", "--json").json
        assert [each["state"] for each in found["steps"]] == ["unchanged", "changed", "context"]
        assert "+def factorial(n):" in found["steps"][1]["diff"]

    def test_the_draft_is_shown_against_the_runs_files(self, team: Team) -> None:
        """What an earlier step has made of the file is no guess any more."""
        first = DRAFT.replace("id: write", "id: first").replace(WISH, "Write a header")
        proposed(team, first + DRAFT)
        assert run(team, script(team.base, "# header\n", match="Write a header")).code == 4
        team.approve("bob", "job", "--step", "first")
        assert run(team, script(team.base)).code == 4
        step = team.cli("bob", "show", "job", "--json").json["steps"][1]
        assert "-# header" in step["diff"]
        assert step["warnings"] == []

    def test_who_asked_for_it_may_not_approve_it(self, drafted: Team) -> None:
        """The runner's commit makes nobody a maker of the plan, and its author stays its author."""
        refused = drafted.cli("ada", "approve", "job", "--json")
        assert (refused.code, codes(refused)) == (4, ["self_approval"])
        assert drafted.cli("bob", "approve", "job").code == 0

    def test_a_run_waits_as_often_as_it_is_asked(self, drafted: Team, env: dict[str, str]) -> None:
        """Nothing is drafted twice, and the plan without the text is not taken up again."""
        for _ in range(2):
            assert codes(run(drafted, env)) == ["approvals_missing"]
        assert records(drafted) == ["read", "draft-write"]


class TestDeciding:
    def test_a_rejected_text_is_skipped(self, drafted: Team, env: dict[str, str]) -> None:
        """Like every rejected step; what follows needs an approval that knows of it."""
        assert drafted.cli("bob", "reject", "job", "--step", "write").code == 0
        drafted.approve("bob", "job", "--step", "last")
        done = run(drafted, env)
        assert (done.code, statuses(done)["write"]) == (0, "skipped"), done.text
        assert drafted.show_file("planlock/job/1", "utils.py") == UTILS.strip()
        assert findings(drafted) == {}

    def test_a_rejected_instruction_costs_nothing(self, team: Team, env: dict[str, str]) -> None:
        """No model is asked for what nobody wants."""
        proposed(team)
        assert team.cli("bob", "reject", "job", "--step", "write").code == 0
        team.approve("bob", "job", "--step", "last")
        done = run(team, env)
        assert (done.code, answer(done)["cost_usd"]) == (0, "0.00"), done.text
        assert records(team) == ["read", "write", "last", "end"]
        assert findings(team) == {}

    def test_a_first_step_may_be_a_draft(self, team: Team, env: dict[str, str]) -> None:
        """A run starts for it, though nothing of it may run yet."""
        proposed(team, DRAFT)
        assert (run(team, env).code, records(team)) == (4, ["draft-write"])


class TestNewerPlan:
    """The plan's branch moves on while a draft waits, or after it was done."""

    def change(self, team: Team, old: str, new: str) -> None:
        path = team.root / PLAN
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        assert team.cli("ada", "propose", "job").code == 0

    def test_a_waiting_draft_of_another_instruction_is_dropped(
        self, drafted: Team, env: dict[str, str]
    ) -> None:
        """What people ask for now is drafted anew."""
        self.change(drafted, WISH, "Say hello")
        more = script(drafted.base, "print('hello')\n", match="Say hello")
        assert codes(run(drafted, more)) == ["approvals_missing"]
        assert records(drafted) == ["read", "draft-write", "plan", "draft-write"]
        assert "hello" in drafted.show_file("planlock/job/1", PLAN)
        drafted.approve("bob", "job")
        assert run(drafted, env).code == 0
        assert findings(drafted) == {}

    def test_a_text_by_people_takes_the_place_of_a_draft(
        self, drafted: Team, env: dict[str, str]
    ) -> None:
        """Then no model wrote the step, and the policy's own rules hold."""
        self.change(drafted, f"instruction: {WISH}", "new_content: x")
        assert codes(run(drafted, env)) == ["approvals_missing"]
        drafted.approve("bob", "job")
        assert run(drafted, env).code == 0
        assert drafted.show_file("planlock/job/1", "utils.py") == "x"
        assert "amended" not in drafted.cli("bob", "show", "job").out
        assert findings(drafted) == {}

    def test_what_a_draft_has_done_stays_done(self, drafted: Team, env: dict[str, str]) -> None:
        """A plan that only grew is adopted with the text in it, and is shown so before."""
        drafted.approve("bob", "job", "--step", "write")
        assert codes(run(drafted, env, "--until", "write")) == []
        last = (drafted.root / PLAN).read_text().splitlines(keepends=True)[-1]
        self.change(drafted, last, last + last.replace("last", "more").replace("NOTE", "MORE"))
        shown = drafted.cli("bob", "show", "job", "--json").json
        drafted.approve("bob", "job")
        done = run(drafted, env)
        assert done.code == 0, done.text
        assert [step["digest"] for step in shown["steps"]][-1] in drafted.show_file(
            "planlock/job/1", "plans/job/runs/1/006-more.yaml"
        )
        assert drafted.show_file("planlock/job/1", "utils.py") == FACTORIAL.strip()
        assert findings(drafted) == {}

    def test_a_changed_instruction_that_was_done_stops_the_run(
        self, drafted: Team, env: dict[str, str]
    ) -> None:
        """A run does not go on under a plan that asks for something else than was done."""
        drafted.approve("bob", "job")
        run(drafted, env, "--until", "write")
        self.change(drafted, WISH, "Say hello")
        assert codes(run(drafted, env)) == ["stale"]
