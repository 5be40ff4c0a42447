"""Whether an undo command may run: as its step may, but for time and money."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from gate_cases import ASK, EDIT, NOW, READ, ask, codes, make_plan, make_policy, question, vote

from runner.core import undoing
from runner.core.approval import Vote
from runner.core.gate import Answer, Decision, SoFar

LATER = NOW + timedelta(days=30)


def undo(*votes: Vote, **changes: object) -> Decision:
    return undoing.decide(question(*votes, **changes))


class TestTime:
    @pytest.mark.parametrize(
        "fields,vote_",
        [
            ({}, vote("bob", expires_at="2026-11-22T11:00:00Z")),
            ({"approvals_expire_after": "7d"}, vote("bob")),
            (
                {"rules": [{"name": "r", "match": {}, "approvals": 1, "expires_after": "4h"}]},
                vote("bob"),
            ),
        ],
    )
    def test_an_approval_that_is_only_too_old_still_counts(
        self, fields: dict[str, object], vote_: Vote
    ) -> None:
        """Whoever let the step run let it be taken back, for as long as it is there."""
        rules = fields.pop("rules", [])
        policy = make_policy(*rules, **fields)  # type: ignore[misc]  # rules of a parametrised case
        assert not ask(vote_, policy=policy, now=LATER).allowed
        assert undo(vote_, policy=policy, now=LATER).allowed

    def test_an_approval_of_the_future_does_not_count(self) -> None:
        """Only the terms are lifted, not the order of time."""
        early = vote("bob", made_at="2026-12-22T10:00:00Z")
        assert codes(undo(early)) == ["approvals_missing", "made_in_future"]

    def test_a_key_that_is_no_longer_valid_bars_it(self) -> None:
        """A key that was revoked approves nothing any more."""
        assert "key_not_valid" in codes(undo(vote("bob", current=False)))


class TestMoney:
    def test_spent_money_does_not_bar_it(self) -> None:
        """A command costs nothing, so neither budget nor limit of an approval counts."""
        some = vote("bob", limits={"usd": "0.50"})
        spent = SoFar(run=1, spent=Decimal(1), tokens=9, spent_under={some.digest: Decimal("0.50")})
        assert not ask(some, so_far=spent).allowed
        assert undo(some, so_far=spent).allowed
        plan = make_plan(READ, ASK, budget={"usd": "0.50", "tokens": 9})
        assert not ask(plan=plan, so_far=spent).allowed
        assert undo(plan=plan, so_far=spent).allowed


class TestRefused:
    def test_without_an_approval_it_may_not_run(self) -> None:
        """An undo is a command, which nobody has approved here."""
        assert codes(undo()) == ["approvals_missing"]

    def test_a_rejection_bars_it(self) -> None:
        """Who rejected the step since does not want its commands to run."""
        assert undo(vote("bob"), vote("cleo", decision="reject")).answer is Answer.REJECTED

    def test_a_withdrawn_approval_does_not_count(self) -> None:
        """The approver took it back."""
        assert codes(undo(vote("bob"), vote("bob", decision="withdraw"))) == [
            "approvals_missing",
            "withdrawn",
        ]

    def test_a_policy_that_denies_it_now_bars_it(self) -> None:
        """Rules apply as of use."""
        deny = {"name": "never", "match": {"step_type": "edit_file"}, "deny": "by hand"}
        assert codes(undo(vote("bob"), policy=make_policy(deny))) == ["policy_denied"]

    def test_another_digest_bars_it(self) -> None:
        """An approval of a step without this undo is none of the undo."""
        other = make_plan(READ, {**EDIT, "undo": {"command": "rm -rf /"}})
        assert "approval_stale" in codes(undo(vote("bob"), plan=other))


class TestSkips:
    def test_a_later_skip_is_of_no_concern(self) -> None:
        """The approval of a step names the skips before it; what came after changes nothing."""
        assert undo(vote("bob"), so_far=SoFar(run=1, skipped=("edit", "check"))).allowed
        assert not ask(vote("bob"), so_far=SoFar(run=1, skipped=("check",))).allowed

    def test_an_earlier_skip_must_be_known(self) -> None:
        """As for the step itself."""
        skipped = SoFar(run=1, skipped=("read",))
        assert codes(undo(vote("bob"), so_far=skipped)) == ["approvals_missing", "skips_differ"]
        assert undo(vote("bob", skipped=["read"]), so_far=skipped).allowed
