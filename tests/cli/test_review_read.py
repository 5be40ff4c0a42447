"""What a reviewer is shown of a step again, and what the summary says is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from forging import draft, forge
from team import EDIT, READ, Team, command
from terminal import terminal

from runner.core.values import time_text

STEP = "- {{id: {0}, step_type: edit_file, description: D, input: {{path: {0}, new_content: x}}}}\n"
TWO = STEP.format("one") + STEP.format("two")
SIGN = "[b]ack "
LAPSED = "unchanged, but the approval no longer counts: "


def shown(team: Team, *, columns: int = 80) -> str:
    """What bob sees until he is asked for the first time."""
    with terminal(team, "bob", "review", "job", columns=columns) as screen:
        first = screen.press("q")
        assert screen.end() == 0
    return first


@pytest.mark.parametrize("verbs", [["withdraw"], ["reject", "withdraw"]])
def test_what_was_taken_back_is_shown_whole(team: Team, verbs: list[str]) -> None:
    """An approval that its giver withdrew is asked anew with the diff and the whole command."""
    team.propose("job", EDIT + command("make check"))
    team.approve("bob", "job")
    for verb in verbs:
        assert team.cli("bob", verb, "job").code == 0
    first = shown(team)
    assert f"{LAPSED}bob@example.com" in first
    assert "bob@example.com withdrew at " in first
    assert "+def factorial(n):" in first
    assert "fix: planlock approve" not in first
    with terminal(team, "bob", "review", "job") as screen:
        screen.press("s")
        second = screen.press("q")
        assert screen.end() == 0
    assert "    command: make check\n" in second


def test_what_was_taken_back_is_shown_whole_behind_a_change_too(team: Team) -> None:
    """It does not go by as known because another step changed since."""
    team.propose("job", STEP.format("one") + command("make check"))
    team.approve("bob", "job")
    assert team.cli("bob", "withdraw", "job").code == 0
    team.propose("job", STEP.format("one").replace("x}", "z}") + command("make check"))
    with terminal(team, "bob", "review", "job") as screen:
        screen.press("s")
        second = screen.press("q")
        assert screen.end() == 0
    assert "    as it was, behind a change\n" in second
    assert "    command: make check\n" in second


def test_a_changed_command_that_was_taken_back_is_shown_whole(team: Team) -> None:
    """Lines that did not change are there as well."""
    lines = [f"echo {number}" for number in range(9)]
    team.propose("job", command("\n".join(lines)))
    team.approve("bob", "job")
    assert team.cli("bob", "withdraw", "job").code == 0
    team.propose("job", command("\n".join([*lines[:-1], "echo ten"])))
    assert "    command:\n      echo 0\n      echo 1\n" in shown(team)


def test_what_only_expired_is_not_shown_again(team: Team) -> None:
    """Time alone changes nothing of what the reviewer has read."""
    team.propose("job", EDIT)
    made_at = time_text(datetime.now(UTC) - timedelta(days=8))
    forge(team, "job", draft(team, "job", "bob", made_at=made_at), key="bob")
    first = shown(team)
    assert f"{LAPSED}bob@example.com's approval" in first
    assert "+def factorial(n):" not in first


@pytest.mark.parametrize("why", ["settings", "skips"])
def test_what_counts_no_longer_for_another_reason_is_shown_whole(team: Team, why: str) -> None:
    """What a command may do, and what it runs without, is news."""
    team.propose("job", READ + STEP.format("one") + command("true"))
    team.approve("bob", "job", "--step", "check")
    if why == "settings":
        team.approve("cleo", "job", "--step", "one")
        team.policy("tools: []", "tools: [.venv]")
    else:
        assert team.cli("cleo", "reject", "job", "--step", "one").code == 0
    with terminal(team, "bob", "review", "job") as screen:
        screen.press("S" if why == "skips" else "s")
        text = screen.text if why == "skips" else screen.press("q")
        assert screen.end() == 0
    assert LAPSED in " ".join(text.split())
    assert "    command: true\n" in text


def test_the_summary_names_what_is_left_behind_a_rejected_step(team: Team) -> None:
    """A step that is asked only because of it, and skipped, is left; it says why it is asked."""
    team.propose("job", STEP.format("one") + STEP.format("two") + READ)
    with terminal(team, "bob", "review") as screen:
        screen.press("r")
        screen.until("(may be empty): ")
        screen.type("\n")
        screen.press("a")
        third = screen.press("s")
        last = screen.press("n", ask=SIGN)
        assert screen.end() == 0
    assert "needs no approval\n" in third
    assert "it stands behind a rejected step" in " ".join(third.split())
    assert "  left     read\n" in last


def test_a_free_step_behind_somebody_elses_reject_says_why_it_is_asked(team: Team) -> None:
    """Its own rules ask for nobody."""
    team.propose("job", STEP.format("one") + READ)
    assert team.cli("cleo", "reject", "job", "--step", "one").code == 0
    assert "it stands behind a rejected step" in " ".join(shown(team).split())


def test_a_step_that_needs_an_approval_says_nothing_of_rejected_ones(team: Team) -> None:
    """Where it is asked for its own sake."""
    team.propose("job", TWO)
    assert "rejected step" not in shown(team)


@pytest.mark.parametrize("args", [["review"], ["show", "job"], ["diff", "job"]])
def test_text_fits_a_narrow_terminal(team: Team, args: list[str]) -> None:
    """Goals, heads and descriptions are broken between words; digests and code stay whole."""
    goal = "a goal of so many words that nobody could write it in forty columns"
    path = team.plan("job", EDIT, "assumptions: [The one that is longer than a line may be]\n")
    path.write_text(path.read_text().replace("Do job", goal))
    assert team.cli("ada", "propose", "job").code == 0
    team.approve("bob", "job")
    assert team.cli("bob", "withdraw", "job").code == 0
    with terminal(team, "bob", *args, columns=40) as screen:
        if args == ["review"]:
            screen.press("q")
        assert screen.end() == 0
    assert goal in " ".join(screen.text.split())
    code = (
        "    +",
        "    -",
        "     ",
        "    @",
        "    command",
        "  planlock",
        "      fix",
        "    - bob",
    )
    lines = [line.rstrip("\r") for line in screen.text.split("\n")]
    long = [line for line in lines if len(line) > 40 and not line.startswith(code)]
    assert all(" " not in line.split(maxsplit=1)[-1] for line in long), long
    digest = team.cli("ada", "status", "job", "--json").json["digest"]
    assert digest in screen.text
