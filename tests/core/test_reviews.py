from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from gate_cases import CHECK, EDIT, READ, make_plan, make_policy
from hypothesis import given
from hypothesis import strategies as st
from review_cases import (
    ADA,
    BASE,
    BOB,
    CAROL,
    FIRST,
    HEAD,
    MAIN,
    MALLORY,
    PLAN,
    ROBOT,
    asked,
    at,
    codes,
    held,
    people,
    principals,
    push,
    review,
    talk,
    weigh,
)

from runner.core import reviews
from runner.core.forge import Push, TimelineEvent, Tip
from runner.core.reviews import Weighed

PLAIN = {"forge": {"plain_reviews": True}}


def plain(**changes: Any) -> Weighed:
    """What bob's plain review on the head gives, where the policy allows such."""
    said = changes.pop("said", review(body="Looks good"))
    return weigh(said, asked_of=asked(policy=PLAIN), **changes)


class TestNamedDigest:
    def test_a_review_that_names_the_digest_counts_for_every_step(self) -> None:
        """The digest of the plan covers all of its steps."""
        found = weigh(review())
        assert principals(found) == ["bob"]
        assert dict(found.counted[0].steps) == dict(
            zip(["read", "edit", "check"], PLAN.digests, strict=True)
        )
        assert found.counted[0].named == PLAN.digest
        assert not found.holds
        assert not found.uncounted

    def test_the_digest_of_a_step_covers_it_and_those_before(self) -> None:
        """What was appended after a review is not approved by it."""
        found = weigh(review(body=reviews.line(PLAN.digests[1])))
        assert list(found.counted[0].steps) == ["read", "edit"]

    def test_A04_another_digest_is_stale(self) -> None:
        """A review that names other content does not count, and the answer offers the line."""
        other = make_plan(READ, EDIT, {**CHECK, "input": {"command": "false"}})
        found = weigh(review(body=reviews.line(other.digest)))
        assert codes(found) == ["review_stale"]
        assert reviews.line(PLAN.digest) in found.uncounted[0].reason.fix

    @pytest.mark.parametrize(
        "body",
        [
            "> approve {}",
            "`approve {}`",
            "<!-- approve {} -->",
            "Looks good\napprove {}",
            "approve {} and more",
            "approve  {}",
            "Approve {}",
            "approve {}0",
            "",
        ],
    )
    def test_A15_only_a_first_line_of_exactly_this_names_it(self, body: str) -> None:
        """What is quoted, hidden, or elsewhere than on the first line names nothing."""
        found = weigh(review(body=body.format(PLAN.digest)))
        assert codes(found) == ["review_plain"]

    @pytest.mark.parametrize("more", ["", "\n\nwell done", "\r\nwell done", "   "])
    def test_words_may_follow_on_further_lines(self, more: str) -> None:
        """People may say more below the line."""
        assert principals(weigh(review(body=reviews.line(PLAN.digest) + more))) == ["bob"]

    def test_A37_skipped_steps_are_named_beside_the_digest(self) -> None:
        """Who approves after a skip says which steps were left out."""
        found = weigh(review(body=reviews.line(PLAN.digest, ["lint", "read"])))
        assert found.counted[0].skipped == ("lint", "read")

    @pytest.mark.parametrize("edited", [True, None])
    def test_A16_an_edited_review_does_not_count(self, edited: bool | None) -> None:  # noqa: FBT001  # three states
        """Nor one of which nobody tells whether it was edited."""
        assert codes(weigh(review(edited=edited))) == ["review_edited"]

    def test_A16_a_dismissed_review_does_not_count(self) -> None:
        """A dismissal is the latest decision of whoever had reviewed."""
        assert codes(weigh(review(state="dismissed"))) == ["review_dismissed"]

    def test_A02_a_repointed_commit_changes_nothing_for_it(self) -> None:
        """What it names is the content, so it holds after a rebase that leaves that alone."""
        pushed = (push(9, kind="force_push", before=FIRST), push(0, after=FIRST, kind="creation"))
        same = asked(digests={HEAD: PLAN.digest, FIRST: PLAN.digest})
        assert principals(weigh(review(), asked_of=same, pushes=pushed)) == ["bob"]

    def test_a_comment_that_names_it_is_answered(self) -> None:
        """A review submitted as a comment is no approval, and is told how to become one."""
        assert codes(weigh(review(state="commented"))) == ["review_comment"]
        assert codes(weigh(review(state="commented", body="nice"))) == []


class TestPlainReviews:
    def test_one_on_the_head_counts_where_the_policy_allows_it(self) -> None:
        """The server saw the push before the review, and nothing since."""
        assert principals(plain()) == ["bob"]
        assert plain().counted[0].named is None
        assert list(plain().counted[0].steps) == ["read", "edit", "check"]

    def test_none_counts_where_the_policy_does_not(self) -> None:
        """By default a review has to name the digest."""
        assert codes(weigh(review(body="Looks good"))) == ["review_plain"]

    @pytest.mark.parametrize("kind", ["push", "force_push", "other"])
    def test_A01_a_later_push_makes_it_stale(self, kind: str) -> None:
        """Whatever the head is called, it came after the review."""
        pushed = (push(6, kind=kind, before=FIRST), push(0, after=FIRST, kind="creation"))
        assert codes(plain(pushes=pushed)) == ["review_stale"]

    def test_A02_a_repointed_commit_id_proves_nothing(self) -> None:
        """The forge moved the review to the new head after a rebase: the push was later."""
        pushed = (push(6, kind="force_push", before=FIRST), push(0, after=FIRST, kind="creation"))
        moved = TimelineEvent(name="head_ref_force_pushed", at=at(6), actor=ADA)
        assert codes(plain(pushes=pushed, timeline=(moved,))) == ["review_stale"]

    def test_A03_the_same_second_is_too_late(self) -> None:
        """Times to the second cannot tell which came first."""
        assert codes(plain(pushes=(push(5, kind="creation"),))) == ["review_stale"]

    def test_one_on_an_older_commit_is_stale(self) -> None:
        """It stands on what was the head once."""
        assert codes(plain(said=review(body="ok", commit=FIRST))) == ["review_stale"]

    @pytest.mark.parametrize(
        "name",
        ["base_ref_changed", "base_ref_force_pushed", "head_ref_restored", "head_ref_deleted"],
    )
    def test_A06_what_happened_to_the_branches_since_makes_it_stale(self, name: str) -> None:
        """A changed base changes what the review was about."""
        event = TimelineEvent(name=name, at=at(6), actor=ADA)
        assert codes(plain(timeline=(event,))) == ["review_stale"]
        assert principals(plain(timeline=(replace(event, at=at(4)),))) == ["bob"]

    def test_an_event_without_a_time_makes_it_stale(self) -> None:
        """What cannot be placed may have come later."""
        event = TimelineEvent(name="base_ref_changed", at=None, actor=ADA)
        assert codes(plain(timeline=(event,))) == ["review_stale"]

    def test_other_events_do_not_matter(self) -> None:
        """A label or a comment moves nothing."""
        event = TimelineEvent(name="labeled", at=at(6), actor=ADA)
        assert principals(plain(timeline=(event,))) == ["bob"]

    @pytest.mark.parametrize("pushed", [(), (push(0, after=FIRST),)])
    def test_an_unseen_push_of_the_head_is_unclear(self, pushed: tuple[Any, ...]) -> None:
        """Where the server does not tell of the head's push, nobody knows what it was before."""
        assert codes(plain(pushes=pushed)) == ["review_unclear"]

    def test_drafts_of_a_run_need_the_digest(self) -> None:
        """A text that a run drafted stands on no commit that a review could stand on."""
        drafted = asked(policy=PLAIN, on_branch=False)
        assert codes(weigh(review(body="ok"), asked_of=drafted)) == ["review_plain"]


class TestPeople:
    def test_A08_who_may_not_write_is_not_counted(self) -> None:
        """A person of the policy with read access, or with none, does not count."""
        for permission in ("read", "none"):
            assert codes(weigh(review(), rights={2: permission})) == ["review_without_rights"]

    def test_A09_only_the_permission_counts(self) -> None:
        """An account of which the forge told no permission has none."""
        untold = replace(talk(review()), rights={})
        assert codes(reviews.weigh(untold, asked())) == ["review_without_rights"]

    def test_A08_an_outsider_is_not_counted(self) -> None:
        """Nobody whom the policy does not know counts, whatever they may write."""
        assert codes(weigh(review(MALLORY), rights={9: "admin"})) == ["review_of_stranger"]

    def test_the_number_decides_who_it_is(self) -> None:
        """A login that somebody else took over is nobody's of the policy."""
        thief = replace(MALLORY, login="bob")
        assert codes(weigh(review(thief), rights={9: "write"})) == ["review_of_stranger"]
        renamed = replace(BOB, login="robert")
        assert principals(weigh(review(renamed))) == ["bob"]

    def test_A10_a_bot_is_not_counted(self) -> None:
        """Not even one that the policy lists."""
        assert codes(weigh(review(ROBOT))) == ["review_of_bot"]

    def test_A11_who_opened_the_pull_request_is_not_counted(self) -> None:
        """Whoever asked for it does not approve it."""
        assert codes(weigh(review(ADA))) == ["review_by_author"]

    def test_A11_who_pushed_content_of_the_plan_is_not_counted(self) -> None:
        """The one who changed the digest made the plan, whoever opened the pull request."""
        pushed = (push(3, by=BOB, before=FIRST), push(0, after=FIRST, kind="creation"))
        other = asked(digests={FIRST: "sha256:" + "0" * 64, HEAD: PLAN.digest})
        assert codes(weigh(review(), asked_of=other, pushes=pushed)) == ["review_by_maker"]

    def test_who_pushed_only_approvals_is_counted(self) -> None:
        """A push that leaves the digest alone makes nobody a maker."""
        pushed = (push(3, by=BOB, before=FIRST), push(0, after=FIRST, kind="creation"))
        same = asked(digests={FIRST: PLAN.digest, HEAD: PLAN.digest})
        assert principals(weigh(review(), asked_of=same, pushes=pushed)) == ["bob"]

    @pytest.mark.parametrize(
        "pushes",
        [
            (push(3, before=FIRST), push(0, after=BASE, kind="creation")),
            (push(3, before=FIRST),),
        ],
    )
    def test_a_missing_push_may_have_been_anybodys(self, pushes: tuple[Push, ...]) -> None:
        """Who made the plan is known only where each push goes on from the one before."""
        assert codes(weigh(review(), pushes=pushes)) == ["review_unclear"]

    def test_a_push_that_git_no_longer_has_counts_as_making(self) -> None:
        """What cannot be looked at may have been anything."""
        pushed = (
            push(3, before=FIRST, kind="force_push"),
            push(1, after=FIRST, by=BOB, before=BASE),
            push(0, after=BASE, kind="creation"),
        )
        found = weigh(review(), asked_of=asked(digests={HEAD: PLAN.digest}), pushes=pushed)
        assert codes(found) == ["review_by_maker"]

    def test_A11_the_prompter_is_not_counted(self) -> None:
        """Whoever the plan's history names does not approve it."""
        barred = asked(excluded={"bob@example.com": "prompted the model that wrote the plan"})
        assert codes(weigh(review(), asked_of=barred)) == ["self_approval"]

    def test_solo_mode_lets_authors_approve(self) -> None:
        """Where the policy allows self-approval, making a plan bars nobody."""
        found = weigh(review(ADA), asked_of=asked(policy={"self_approval": True}))
        assert principals(found) == ["ada"]
        assert found.makers == frozenset()

    def test_makers_are_told_for_approvals_by_key(self) -> None:
        """A31: the one who opened the pull request, or pushed, is known to the gate too."""
        pushed = (push(3, by=CAROL, before=FIRST), push(0, after=FIRST, kind="creation"))
        other = asked(digests={FIRST: "sha256:" + "0" * 64, HEAD: PLAN.digest})
        found = weigh(asked_of=other, pushes=pushed)
        assert found.makers == {"ada@example.com", "carol@example.com"}

    def test_a_deleted_account_counts_for_nobody(self) -> None:
        """Its review has no author, and a pull request without one makes every review unclear."""
        assert principals(weigh(review(None))) == []
        pull = replace(talk().pull_request, author=None)
        assert codes(weigh(review(), pull_request=pull)) == ["review_unclear"]


class TestLatestDecision:
    def test_A07_a_later_request_for_changes_wins(self) -> None:
        """The old approval is still listed, and the plan is held."""
        found = weigh(review(), review(id=71, state="changes_requested", submitted_at=at(6)))
        assert principals(found) == []
        assert held(found) == ["changes_requested"]

    def test_a_later_approval_wins(self) -> None:
        """Who had asked for changes is satisfied."""
        found = weigh(review(id=69, state="changes_requested", submitted_at=at(4)), review())
        assert principals(found) == ["bob"]
        assert found.holds == ()

    def test_a_dismissal_does_not_bring_an_older_approval_back(self) -> None:
        """The latest decision was dismissed, so there is none."""
        found = weigh(review(), review(id=71, state="dismissed", submitted_at=at(6)))
        assert principals(found) == []

    def test_a_comment_decides_nothing(self) -> None:
        """Who approved may still comment."""
        found = weigh(review(), review(id=71, state="commented", body="ok", submitted_at=at(6)))
        assert principals(found) == ["bob"]

    def test_pages_in_another_order_make_no_difference(self) -> None:
        """The times decide, not the places in the list."""
        found = weigh(review(id=71, state="changes_requested", submitted_at=at(6)), review())
        assert principals(found) == []

    def test_each_person_has_one(self) -> None:
        """Two people are two, two reviews of one are one."""
        found = weigh(review(), review(CAROL, id=72), review(id=73, submitted_at=at(7)))
        assert principals(found) == ["carol", "bob"]

    def test_a_request_by_somebody_who_may_not_write_holds_nothing(self) -> None:
        """An outsider cannot stop a plan."""
        asks: dict[str, Any] = {"state": "changes_requested", "body": ""}
        assert held(weigh(review(MALLORY, **asks))) == []
        assert held(weigh(review(**asks), rights={2: "read"})) == []
        assert held(weigh(review(**asks))) == ["changes_requested"]

    def test_a_decision_without_a_time_is_the_last(self) -> None:
        """It replaces what came before, and does not count itself."""
        found = weigh(review(), review(id=71, submitted_at=None))
        assert codes(found) == ["review_unclear"]


class TestPullRequest:
    @pytest.mark.parametrize(
        "changes,code",
        [
            ({"is_open": False}, "pull_request_closed"),
            (
                {"head": Tip(repository="eve/shop", branch="plan/job", commit=HEAD)},
                "pull_request_from_fork",
            ),
            (
                {"head": Tip(repository="acme/shop", branch="plan/other", commit=HEAD)},
                "pull_request_of_other_branch",
            ),
            (
                {"base": Tip(repository="acme/shop", branch="dev", commit=BASE)},
                "pull_request_retargeted",
            ),
            (
                {"head": Tip(repository="acme/shop", branch="plan/job", commit=FIRST)},
                "pull_request_moved",
            ),
        ],
    )
    def test_nothing_counts_on_an_unfit_one(self, changes: dict[str, Any], code: str) -> None:
        """A05, A06, A13: closed, of a fork, of another branch, retargeted or moved: held."""
        found = weigh(review(), pull_request=replace(talk().pull_request, **changes))
        assert held(found) == [code]
        assert principals(found) == []


def loosened_at(minutes: float) -> tuple[Push, ...]:
    return push(minutes, before=BASE, after=MAIN), push(-60, after=BASE)


class TestExecution:
    @pytest.mark.parametrize(
        "pushes",
        [(), (push(-60, after=FIRST),), (push(6, before=FIRST, after=MAIN), push(-60, after=BASE))],
    )
    def test_a_push_that_nobody_tells_of_is_unclear(self, pushes: tuple[Push, ...]) -> None:
        """What lies between may have loosened the settings."""
        assert codes(weigh(review(), base_pushes=pushes)) == ["review_unclear"]

    def test_A36_settings_that_changed_since_void_it(self) -> None:
        """The server's own times tell what held when the review was submitted."""
        loosened = asked(executions={BASE: "sha256:" + "1" * 64})
        moved = loosened_at(6)
        assert codes(weigh(review(), asked_of=loosened, base_pushes=moved)) == ["execution_changed"]

    def test_other_pushes_to_the_base_do_not_matter(self) -> None:
        """The trusted branch may move on."""
        policy = make_policy(people=people())
        same = asked(policy={}, executions={BASE: policy.execution})
        assert principals(weigh(review(), asked_of=same, base_pushes=loosened_at(6))) == ["bob"]

    def test_a_commit_that_git_does_not_have_voids_it(self) -> None:
        """What held then cannot be looked at."""
        assert codes(weigh(review(), base_pushes=loosened_at(6))) == ["execution_changed"]

    def test_the_oldest_push_since_decides(self) -> None:
        """Loosened and tightened again is changed all the same, or not, as it was then."""
        then = asked(executions={BASE: asked().policy.execution, FIRST: "sha256:" + "1" * 64})
        moves = (
            push(8, before=FIRST, after=MAIN),
            push(6, before=BASE, after=FIRST),
            push(-60, after=BASE),
        )
        assert principals(weigh(review(), asked_of=then, base_pushes=moves)) == ["bob"]


@given(
    states=st.lists(
        st.tuples(
            st.sampled_from(["approved", "changes_requested", "commented", "dismissed"]),
            st.sampled_from([ADA, BOB, CAROL, MALLORY, ROBOT, None]),
            st.integers(0, 20),
            st.sampled_from([reviews.line(PLAN.digest), reviews.line(PLAN.digests[0]), "ok", ""]),
            st.sampled_from([True, False, None]),
        ),
        max_size=8,
    )
)
def test_only_latest_sound_approvals_count(states: list[tuple[Any, ...]]) -> None:
    """Whatever was said in whatever order, who counts last approved by name, unedited, lawfully."""
    said = [
        review(by, id=number, state=state, submitted_at=at(minute), body=body, edited=edited)
        for number, (state, by, minute, body, edited) in enumerate(states)
    ]
    found = weigh(*said)
    for each in found.counted:
        own = [one for one in said if one.author == each.review.author and one.state != "commented"]
        last = max(own, key=lambda one: (one.submitted_at, one.id))
        assert last == each.review
        assert (last.state, last.edited) == ("approved", False)
        assert last.body.startswith("approve sha256:")
        assert each.principal in {"bob@example.com", "carol@example.com"}
    assert len({each.principal for each in found.counted}) == len(found.counted)
