"""Attack F05: a router behind HTTP that is down, refuses, breaks its format or lies."""

from __future__ import annotations

import pytest
from odd_router import answer, refusal, serving
from team import Result, Team

ASK = "- {id: ask, step_type: analyze, description: Ask, input: {instruction: First}}\n"
AGAIN = "- {id: again, step_type: analyze, description: Ask, input: {instruction: Second}}\n"


def go(team: Team, url: str, *options: str) -> Result:
    return team.cli("ada", "run", "job", *options, env={"PLANLOCK_ROUTER_URL": url})


def total(team: Team) -> tuple[str, int]:
    found = team.cli("ada", "cost", "--json").json["total"]
    return found["usd"], found["calls"]


def test_F05_a_router_that_is_down_costs_nothing(team: Team) -> None:
    """The step fails with what to start, and goes on by `--retry` once it is there."""
    team.propose("job", ASK)
    with serving(answer()) as router:
        url = router.url
    done = go(team, url)
    assert (done.code, "provider_error" in done.out) == (5, True), done.text
    assert total(team)[1] == 0
    with serving(answer()) as router:
        assert go(team, router.url, "--retry").code == 0
    assert total(team) == ("0.01", 1)


@pytest.mark.parametrize(
    "status, code", [(429, "rate_limited"), (422, "schema_violation"), (504, "timeout")]
)
def test_F05_a_refusal_is_recorded_with_what_it_cost(team: Team, status: int, code: str) -> None:
    """The router's own code stands in the record, and the attempt that it paid for."""
    team.propose("job", ASK)
    with serving(refusal(status, code, attempts=True)) as router:
        done = go(team, router.url)
    assert (done.code, code in done.out) == (5, True), done.text
    assert total(team) == ("0.02", 1)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"text": 1}', b"\xff" * 100, b"[" * 9000])
def test_F05_nonsense_is_charged_in_full_and_never_an_answer(team: Team, body: bytes) -> None:
    """Nobody knows what it cost, so what was set aside for the question counts as spent."""
    team.policy('{run_usd: "1.00"}', '{run_usd: "1.00", call_usd: "0.30"}')
    team.propose("job", ASK)
    with serving((200, body)) as router:
        done = go(team, router.url)
        assert router.asked[0]["budget"]["max_cost_usd"] == "0.30"
    assert (done.code, "provider_error" in done.out) == (5, True), done.text
    assert total(team) == ("0.30", 1)


def test_F05_a_router_that_lies_about_cost_stops_at_the_budget(team: Team) -> None:
    """What it says a call has cost is believed upwards: the next one is not asked."""
    team.propose("job", ASK + AGAIN)
    with serving(answer("7.00"), answer()) as router:
        done = go(team, router.url)
        assert len(router.asked) == 1
    assert done.code == 4, done.text
    assert "budget_exceeded" in done.out
    assert total(team) == ("7.00", 1)
    assert "over_budget" in team.cli("ada", "audit").out


def test_F05_a_cost_that_nobody_knows_leaves_nothing_of_the_budget(team: Team) -> None:
    """A router that hides its price is asked once under a bound on money, then for what it has.

    One that asks a model all the same is not listened to.
    """
    team.propose("job", ASK + AGAIN)
    with serving(answer(None), answer()) as router:
        done = go(team, router.url)
        assert [each["cache"]["mode"] for each in router.asked] == ["auto", "replay"]
    assert done.code == 4, done.text
    assert "1 calls have no price" in done.out


@pytest.mark.parametrize(
    "text, most",
    [
        ('{project_usd: "100.00"}', "1.00"),
        ('{project_usd: "100.00", call_usd: "3.00"}', "3.00"),
        ('{project_usd: "0.40"}', "0.40"),
        ("{run_tokens: 200000}", None),
    ],
)
def test_F05_a_broken_answer_costs_no_more_than_one_question_may(
    team: Team, text: str, most: str | None
) -> None:
    """A question over HTTP has a bound of its own, so that a lost answer leaves the rest."""
    team.policy('{run_usd: "1.00"}', text)
    team.propose("job", ASK)
    with serving((200, b"{")) as router:
        assert go(team, router.url).code == 5
        assert router.asked[0]["budget"]["max_cost_usd"] == most
    if most is not None:
        assert total(team) == (most, 1)


@pytest.mark.parametrize("text", ["{run_tokens: 20000000}", "{day_tokens: 300}"])
def test_F05_a_router_is_told_what_tokens_are_left(team: Team, text: str) -> None:
    """No more than is left, and of plenty no more than a few attempts can take."""
    team.policy('{run_usd: "1.00"}', text)
    team.propose("job", ASK)
    with serving(answer()) as router:
        assert go(team, router.url).code == 0
        (asked,) = router.asked
    prompt = sum(len(each["content"].encode()) for each in asked["messages"])
    worst = 4 * (prompt + asked["params"]["max_tokens"])
    assert asked["budget"]["max_tokens"] == min(300 if "day" in text else worst, worst)


def test_what_the_router_is_asked_has_the_bound_and_the_context(team: Team) -> None:
    """A far router is told what a question may cost, and for which run it is."""
    team.propose("job", ASK)
    with serving(answer()) as router:
        assert go(team, router.url).code == 0
        (asked,) = router.asked
    assert asked["budget"]["max_cost_usd"] == "1.00"
    assert (asked["context"]["run"], asked["context"]["step"]) == ("job/1", "ask")
