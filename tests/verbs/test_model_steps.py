"""Model steps: what is asked, what is kept of it, and what it cost, wherever it is told."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from fake_models import FakeModels, Says, Try, run
from team import READ, Team

from runner.core import documents
from runner.core.errors import (
    ModelError,
    ModelTimeout,
    NoRoute,
    ProviderFailed,
    RateLimited,
    SchemaViolation,
)

ASK = "- {id: ask, step_type: analyze, description: Ask, input: {instruction: Say why}}\n"
SUM_UP = "- {id: sum, step_type: summarize, description: Sum up, input: {instruction: Sum up}}\n"
TWICE = (
    Try(cost="0.001", status="invalid", tokens=(80, 7)),
    Try(cost="0.02", cached=50, reasoning=4),
)


def records(team: Team, plan: str = "job") -> list[dict[str, Any]]:
    """The records of run 1, oldest first."""
    folder = f"plans/{plan}/runs/1"
    branch = f"planlock/{plan}/1"
    names = team.git("ls-tree", "--name-only", f"{branch}:{folder}").split()
    wanted = sorted(name for name in names if re.fullmatch(r"[0-9]{3}-.*\.yaml", name))
    return [loaded(team.show_file(branch, f"{folder}/{name}")) for name in wanted]


def transcript(team: Team, name: str) -> dict[str, Any]:
    return loaded(team.show_file("planlock/job/1", f"plans/job/runs/1/{name}"))


def loaded(text: str) -> dict[str, Any]:
    value: dict[str, Any] = documents.parse((text + "\n").encode(), file="x").value
    return value


def calls(team: Team) -> list[dict[str, Any]]:
    return [call for record in records(team) for call in record.get("calls", [])]


def cost(team: Team, *args: str) -> dict[str, Any]:
    done = team.cli("ada", "cost", *args, "--json")
    assert done.code == 0, done.text
    found: dict[str, Any] = done.json
    return found


def trailers(team: Team, name: str) -> list[str]:
    text = team.git("log", "--format=%B", "planlock/job/1")
    return re.findall(rf"^{name}: (.*)$", text, flags=re.MULTILINE)


def test_P6_records_trailers_ledger_and_cost_tell_one_sum(team: Team) -> None:
    """Every attempt, also the one that failed, is told by all four, to the last digit."""
    team.propose("job", READ + ASK + SUM_UP)
    assert run(team, "job", Says(tries=TWICE), Says(tries=(Try(cost="0.000754"),))).status == (
        "completed"
    )
    told = calls(team)
    expected = Decimal("0.021754")
    assert sum(Decimal(call["cost_usd"]) for call in told) == expected
    assert sum(map(Decimal, trailers(team, "Cost-USD"))) == expected
    total = cost(team)["total"]
    assert Decimal(total["usd"]) == expected
    assert (total["calls"], total["cached_tokens"], total["reasoning_tokens"]) == (3, 50, 4)
    assert total["input_tokens"] == sum(call["input_tokens"] for call in told) == 280
    sent = [int(text.split()[0]) for text in trailers(team, "Tokens")]
    assert sum(sent) == 280
    assert records(team)[-1]["total"]["cost_usd"] == str(expected)
    assert team.cli("ada", "ledger", "check").code == 0
    assert team.cli("ada", "audit").code == 0, team.cli("ada", "audit").text


def test_a_call_tells_who_answered_why_and_at_what_price(team: Team) -> None:
    """One entry for each HTTP request, with the route, the tokens and where the price is from."""
    team.propose("job", READ + ASK)
    run(team, "job", Says(tries=TWICE))
    first, second = calls(team)
    assert (first["status"], first["attempt"]) == ("invalid", 1)
    assert (second["status"], second["attempt"]) == ("ok", 2)
    assert first["id"] == second["id"] != ""
    assert second["kind"] == "analyze"
    assert (second["provider"], second["model"]) == ("fake", "small-1")
    assert second["response_model"] == "small-1-001"
    assert (second["route_reason"], second["price_source"]) == ("the only model", "a test")
    assert (second["cache_read_input_tokens"], second["usage_source"]) == (50, "provider")
    assert first["reservation"] != second["reservation"] != ""


def test_the_transcript_has_the_question_and_the_answer(team: Team) -> None:
    """Who reads the run later sees what the model was asked and what it said."""
    team.propose("job", READ + ASK)
    run(team, "job", Says(text="Because."))
    (call,) = calls(team)
    found = transcript(team, call["file"])
    assert found["answer"] == "Because."
    assert found["calls"] == [call]
    question = found["messages"][-1]["content"]
    assert "def add(a, b):" in question
    assert "Say why" in question
    assert found["inputs"][0]["path"] == "utils.py"
    assert found["raw_usage"] == ['{"prompt": 100, "share": 0.5}']


def test_E04_secrets_are_neither_sent_nor_kept(team: Team) -> None:
    """A secret in a file that was read leaves the prompt, the transcript and the answer."""
    secret = "ghp_" + "a1B2" * 9
    team.commit({"utils.py": f"TOKEN = '{secret}'\n"}, "Leak")
    team.propose("job", READ + ASK)
    models = FakeModels([Says(text=f"The token is {secret}\u202e.")])
    run(team, "job", models=models)
    (request,) = models.requests
    assert secret not in request.model_dump_json()
    assert "[redacted: GitHub token]" in request.messages[-1].content
    (call,) = calls(team)
    assert secret not in str(transcript(team, call["file"]))
    (asked,) = [each for each in records(team) if each.get("calls")]
    assert asked["output"]["text"] == "The token is [redacted: GitHub token]\\u202e."


def test_the_request_says_for_whom_it_is(team: Team) -> None:
    """Project, run, step and the wording's version go with the question."""
    team.propose("job", READ + ASK)
    models = FakeModels([Says()])
    run(team, "job", models=models)
    context = models.requests[0].context
    assert (context.run, context.step, context.prompt_version) == ("job/1", "ask", "step/v1")
    assert context.project is not None
    assert [each.path for each in context.inputs] == ["utils.py"]


def test_a_stored_answer_is_told_as_such_and_free(team: Team) -> None:
    """A second run with the same question pays nothing, and its record says what was saved."""
    models = FakeModels([Says(tries=TWICE)])
    for plan in ("job", "again"):
        team.propose(plan, ASK, extra="")
    goal = "goal: Do job"
    text = (team.root / "plans/again/plan.yaml").read_text().replace("goal: Do again", goal)
    team.write({"plans/again/plan.yaml": text})
    assert team.cli("ada", "propose", "again").code == 0
    run(team, "job", models=models)
    run(team, "again", models=models)
    (told,) = [call for each in records(team, "again") for call in each.get("calls", [])]
    assert (told["status"], told["cost_status"], told["cost_usd"]) == ("hit", "cached", "0.00")
    assert told["saved_usd"] == "0.021"
    assert "Cost-USD" not in team.git("log", "--format=%B", "planlock/again/1", "--not", "main")
    report = cost(team, "again")
    assert (report["total"]["usd"], report["total"]["saved"]) == ("0.00", "0.021")
    assert report["total"]["statuses"] == {"cached": 1}
    assert "saved 0.021 USD" in team.cli("ada", "cost").out


def test_F01_an_answer_kept_before_a_crash_is_paid_once_and_told(team: Team) -> None:
    """The runner that goes on takes the stored answer, and records what it had cost this step."""
    team.propose("job", READ + ASK)
    models = FakeModels([Says(tries=TWICE, dies=True)])
    with pytest.raises(KeyboardInterrupt):
        run(team, "job", models=models)
    assert run(team, "job", models=models).status == "completed"
    assert [call["cost_usd"] for call in calls(team)] == ["0.001", "0.02"]
    assert [call["status"] for call in calls(team)] == ["invalid", "ok"]
    assert cost(team)["total"]["usd"] == "0.021"
    assert reserved(team) == []


def test_F01_money_of_a_call_that_a_crash_cut_off_is_told_in_full(team: Team) -> None:
    """Nobody knows what became of it, so its worst case stands in the step's record."""
    team.propose("job", READ + ASK)
    with pytest.raises(KeyboardInterrupt):
        run(team, "job", Says(tries=(Try(cost="0.003"), Try(worst="0.05", settles=False))))
    assert run(team, "job", Says(tries=(Try(cost="0.01"),))).status == "completed"
    told = [(call["status"], call["cost_usd"], call["cost_status"]) for call in calls(team)]
    assert told == [
        ("ok", "0.01", "computed"),
        ("lost", "0.003", "computed"),
        ("lost", "0.05", "estimated"),
    ]
    assert cost(team)["total"]["usd"] == "0.063"
    assert reserved(team) == []
    assert team.cli("ada", "audit").code == 0, team.cli("ada", "audit").text


def reserved(team: Team) -> list[Any]:
    import sqlite3
    from contextlib import closing

    path = team.root / ".git" / "planlock" / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("select * from reservations").fetchall()


@pytest.mark.parametrize("error", [RateLimited, ProviderFailed, ModelTimeout, SchemaViolation])
def test_F05_a_question_without_an_answer_fails_the_step(
    team: Team, error: type[ModelError]
) -> None:
    """The record has the error's code and every attempt that cost money; `--retry` asks again."""
    team.propose("job", READ + ASK)
    tries = (Try(cost="0.001", status="error"), Try(cost="0.002", status="error"))
    report = run(team, "job", Says(tries=tries, error=error))
    assert (report.status, report.reasons[0].code) == ("failed", error.code)
    failed = records(team)[-1]
    assert (failed["status"], failed["error"]["code"]) == ("failed", error.code)
    assert [call["cost_usd"] for call in failed["calls"]] == ["0.001", "0.002"]
    assert transcript(team, failed["calls"][0]["file"])["error"]["code"] == error.code
    assert run(team, "job", Says(), retry=True).status == "completed"
    assert cost(team)["total"]["usd"] == "0.013"
    assert reserved(team) == []


def test_no_model_pauses_the_run(team: Team) -> None:
    """Without a model nothing has failed: the run goes on once there is one."""
    team.propose("job", READ + ASK)
    report = run(team, "job", Says(tries=(), error=NoRoute))
    assert (report.status, report.reasons[0].code) == ("paused", "no_route")
    assert report.reasons[0].fix == "planlock doctor"
    assert [each["status"] for each in records(team)] == ["completed"]
    assert run(team, "job", Says()).status == "completed"


def test_an_answer_cut_off_says_so(team: Team) -> None:
    """A reader of the record is not left to guess why it ends in the middle."""
    team.propose("job", ASK)
    run(team, "job", Says(text="Half an", finish_reason="length"))
    assert records(team)[0]["output"]["text"] == "Half an\n[the answer was cut off here]"


def test_an_empty_answer_fails_and_is_paid(team: Team) -> None:
    """Nothing said is no answer, but it had its price."""
    team.propose("job", ASK)
    assert run(team, "job", Says(text=" ")).status == "failed"
    failed = records(team)[0]
    assert failed["error"]["code"] == "step_failed"
    assert failed["calls"][0]["cost_usd"] == "0.01"
