from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from gate_cases import (
    ELSEWHERE,
    HOUR,
    NOW,
    PLAN,
    POLICY,
    REPOSITORY,
    ULID,
    address,
    context,
    make_policy,
    vote,
)

from runner.core import approval, canonical
from runner.core.approval import CLOCK_SKEW, objection, rejections, standing, superseded, sureness
from runner.core.errors import InvalidDocument
from runner.core.values import parse_time, time_text

OTHER = "sha256:" + "0" * 64


def code(**changes: Any) -> str:
    """Why bob's approval with these changes does not count; empty if it does."""
    found = objection(vote("bob", **changes), POLICY.policy, context())
    return found.code if found else ""


class TestObjections:
    def test_a_sound_approval_meets_no_objection(self) -> None:
        """An approval of this step, plan, repository and execution counts."""
        assert code() == ""

    @pytest.mark.parametrize(
        "changes,expected",
        [
            ({"signed_by": None}, "bad_signature"),
            ({"signed_by": address("eve")}, "bad_signature"),
            ({"current": False}, "key_not_valid"),
            ({"decision": "reject"}, "reject"),
            ({"decision": "withdraw"}, "withdraw"),
            ({"plan": "other"}, "wrong_context"),
            ({"repository": ELSEWHERE}, "wrong_context"),
            ({"steps": {"read": PLAN.digests[0]}}, "approval_stale"),
            ({"steps": {"edit": PLAN.digests[0]}}, "approval_stale"),
            ({"execution": OTHER}, "execution_changed"),
            ({"approver": address("eve"), "signed_by": address("eve")}, "not_a_person"),
            ({"skipped": ["read"]}, "skips_differ"),
            ({"made_at": time_text(NOW + 2 * CLOCK_SKEW)}, "made_in_future"),
            ({"expires_at": time_text(NOW)}, "approval_expired"),
        ],
    )
    def test_A19_each_part_of_the_context_must_fit(
        self, changes: dict[str, Any], expected: str
    ) -> None:
        """A record for another plan, step, repository, setting, person or time does not count."""
        assert code(**changes) == expected

    def test_an_excluded_person_is_told_why_and_what_would_help(self) -> None:
        """The author's own approval is answered with the reason and who should approve."""
        barred = context(excluded={address("bob"): "is the plan's author"})
        found = objection(vote("bob"), POLICY.policy, barred)
        assert found is not None
        assert (found.code, found.message, found.fix) == (
            "self_approval",
            "bob@example.com is the plan's author",
            "someone else runs: planlock approve job",
        )

    def test_the_trouble_of_a_signature_is_told(self) -> None:
        """What is wrong with a signature stands in the objection."""
        bad = vote("bob", signed_by=None, trouble="no signature beside it")
        found = objection(bad, POLICY.policy, context())
        assert found is not None
        assert found.message == "bob@example.com: no signature beside it"
        assert found.fix == "planlock approve job"

    @pytest.mark.parametrize(
        "changes,message",
        [
            ({"signed_by": address("eve")}, "bob@example.com: signed by another key"),
            ({"current": False}, "bob@example.com: the key is not valid now"),
            ({"current": False, "trouble": "expired"}, "bob@example.com: expired"),
        ],
    )
    def test_a_signature_without_other_trouble_is_explained(
        self, changes: dict[str, Any], message: str
    ) -> None:
        """Where nothing else is known, the objection says whose key it should have been, or when."""
        found = objection(vote("bob", **changes), POLICY.policy, context())
        assert found is not None
        assert found.message == message

    def test_where_no_step_was_skipped_this_is_said(self) -> None:
        """An approval of a skip that never happened is told that none did."""
        found = objection(vote("bob", skipped=["read"]), POLICY.policy, context())
        assert found is not None
        assert found.message.endswith("skipped steps: none")

    def test_skips_are_named(self) -> None:
        """An approval that does not know of a skip is told which steps were skipped."""
        found = objection(vote("bob"), POLICY.policy, context(skipped=("read", "check")))
        assert found is not None
        assert found.message.endswith("skipped steps: read, check")


class TestTime:
    def test_A21_the_policy_bounds_how_long_an_approval_counts(self) -> None:
        """Back-dating `made_at` only shortens: the policy's term runs from there."""
        policy = make_policy(approvals_expire_after="2h").policy
        fresh, old = vote("bob"), vote("bob", made_at=time_text(NOW - 3 * HOUR))
        here = replace(context(), execution=fresh.record.execution)
        assert objection(fresh, policy, here) is None
        found = objection(old, policy, here)
        assert found is not None
        assert found.message == "bob@example.com's approval expired at 2026-11-22 09:00Z"

    def test_the_earlier_end_counts(self) -> None:
        """Of the record's own expiry and the policy's term the earlier one holds."""
        record = vote("bob", expires_at=time_text(NOW + 5 * HOUR)).record
        term = make_policy(approvals_expire_after="90m").policy
        assert approval.expiry(record, term) == NOW - HOUR + timedelta(minutes=90)
        assert approval.expiry(record, make_policy(approvals_expire_after="7d").policy) == (
            NOW + 5 * HOUR
        )
        assert approval.expiry(vote("bob").record, POLICY.policy) is None

    def test_a_clock_may_be_five_minutes_ahead(self) -> None:
        """Small differences of clocks are let through, at most five minutes."""
        assert code(made_at=time_text(NOW + CLOCK_SKEW)) == ""
        assert code(made_at=time_text(NOW + CLOCK_SKEW + timedelta(seconds=1))) == "made_in_future"


class TestSupersession:
    def test_only_the_same_person_can_replace_a_record(self) -> None:
        """A record that names somebody else's record takes nothing away."""
        yes = vote("bob")
        assert superseded([yes, vote("cleo", supersedes=[yes.digest])]) == frozenset()
        assert superseded([yes, vote("bob", supersedes=[yes.digest])]) == {yes.digest}

    def test_an_unsigned_record_replaces_nothing(self) -> None:
        """A record that its person did not sign cannot take that person's approval away."""
        yes = vote("bob")
        forged = vote("bob", supersedes=[yes.digest], signed_by=address("cleo"))
        assert superseded([yes, forged]) == frozenset()

    def test_a_key_that_is_not_valid_any_more_lifts_no_reject(self) -> None:
        """A stolen old key can neither approve nor withdraw what its owner rejected."""
        no = vote("bob", decision="reject")
        for decision in ("approve", "withdraw"):
            lift = vote("bob", decision=decision, supersedes=[no.digest])
            assert superseded([no, lift]) == {no.digest}
            assert superseded([no, replace(lift, current=False)]) == frozenset()

    @pytest.mark.parametrize(
        "earlier,later,steps,replaced",
        [
            ("approve", "withdraw", ["edit"], True),
            ("approve", "withdraw", ["read"], True),
            ("approve", "reject", ["edit"], True),
            ("approve", "approve", ["edit"], False),
            ("withdraw", "withdraw", ["edit"], True),
            ("withdraw", "reject", ["edit"], True),
            ("withdraw", "withdraw", ["read"], False),
            ("withdraw", "approve", ["edit"], False),
            ("reject", "reject", ["edit"], True),
            ("reject", "reject", ["edit", "read"], True),
            ("reject", "reject", ["read"], False),
        ],
    )
    def test_a_key_that_is_not_valid_any_more_can_only_forbid(
        self,
        earlier: str,
        later: str,
        steps: list[str],
        replaced: bool,  # noqa: FBT001  # pytest passes by name
    ) -> None:
        """It replaces a decision only by one that leaves nothing free which was not so before."""
        digests = dict(zip(("read", "edit"), PLAN.digests, strict=False))
        old = vote("bob", decision=earlier, steps={"edit": digests["edit"]})
        new = vote(
            "bob",
            decision=later,
            steps={name: digests[name] for name in steps},
            supersedes=[old.digest],
            current=False,
        )
        assert superseded([old, new]) == ({old.digest} if replaced else frozenset())

    def test_of_several_votes_of_one_record_the_surest_counts(self) -> None:
        """A copy without a signature, by another key or an ended one, hides none that is sound."""
        sound = vote("bob")
        ended = replace(sound, current=False)
        forged = vote("bob", signed_by=address("eve"))
        ranks = [sureness(each) for each in (sound, ended, forged, replace(forged, current=False))]
        assert ranks == [(True, True), (False, True), (False, False), (False, False)]
        assert max(forged, ended, sound, key=sureness) is sound

    def test_a_reject_of_other_content_by_an_ended_key_replaces_none(self) -> None:
        """Naming the same step with another digest would set the rejected content free."""
        old = vote("bob", decision="reject", steps={"edit": PLAN.digests[1]})
        other: dict[str, Any] = {"steps": {"edit": PLAN.digests[0]}, "supersedes": [old.digest]}
        new = vote("bob", decision="reject", current=False, **other)
        assert superseded([old, new]) == frozenset()
        assert superseded([old, replace(new, current=True)]) == {old.digest}

    def test_A38_forged_ulids_do_not_reorder_decisions(self) -> None:
        """What replaces what is told by digests; ids and dates play no part."""
        yes = vote("bob", id="7" + ULID[1:] + "Z", made_at=time_text(NOW))
        gone = vote(
            "bob",
            id="00000000000000000000000000",
            decision="withdraw",
            supersedes=[yes.digest],
            made_at=time_text(NOW - 5 * HOUR),
        )
        assert standing([yes, gone], context()) == (gone,)
        assert standing([gone, yes, yes], context()) == (gone,)

    def test_records_of_another_place_do_not_stand(self) -> None:
        """Votes on another plan or repository are no decisions here."""
        strays = [vote("bob", plan="other"), vote("cleo", repository=ELSEWHERE)]
        assert standing([*strays, vote("dan", signed_by=None)], context()) == ()


class TestRejects:
    def test_only_people_of_the_policy_reject(self) -> None:
        """A reject by a key that is listed for nobody of the policy skips nothing."""
        votes = [vote(who, decision="reject") for who in ("bob", "eve")]
        votes.append(vote("cleo", decision="reject", current=False))
        found = rejections(votes, POLICY.policy, context())
        assert [each.principal for each in found] == [address("bob"), address("cleo")]

    def test_a_reject_names_content(self) -> None:
        """A reject of other content, or of another step, does not skip this one."""
        other = {"edit": PLAN.digests[0]}
        votes = [vote("bob", decision="reject", steps=other), vote("cleo")]
        assert rejections(votes, POLICY.policy, context()) == ()


class TestRecords:
    def test_a_record_that_is_none_is_refused_with_every_problem(self) -> None:
        """All fields that are wrong are told at once."""
        with pytest.raises(InvalidDocument) as caught:
            approval.build({"version": 2, "decision": "maybe"}, file="a.yaml")
        assert {each.path for each in caught.value.problems} >= {"version", "decision", "steps"}
        assert {each.file for each in caught.value.problems} == {"a.yaml"}

    def test_unknown_fields_survive(self) -> None:
        """A record written by a newer version keeps what this version does not know."""
        record = vote("bob", mood="good").record
        assert record.model_dump()["mood"] == "good"

    def test_the_execution_digest_covers_sandbox_and_plugins(self) -> None:
        """Loosening either changes the digest; other fields of the policy do not."""
        assert POLICY.execution == canonical.chain("planlock/execution/v1", {}, None)
        loose = make_policy(sandbox={"require": "none"})
        plugged = make_policy(plugins=["extra"])
        assert len({POLICY.execution, loose.execution, plugged.execution}) == 3
        assert make_policy(limits={"steps": 3}).execution == POLICY.execution
        assert POLICY.policy.repository == REPOSITORY

    def test_expiry_is_read_as_written(self) -> None:
        """A time is to the second and in UTC."""
        assert parse_time(vote("bob").record.made_at) == NOW - HOUR
