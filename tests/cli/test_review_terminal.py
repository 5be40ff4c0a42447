"""The real planlock in a terminal of its own, with real keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from forging import draft, forge
from team import CHECK, EDIT, READ, UTILS, Team, command
from terminal import Terminal, terminal

from runner.core.values import time_text

STEP = "- {{id: {0}, step_type: edit_file, description: D, input: {{path: {0}, new_content: x}}}}\n"
THREE = "".join(STEP.format(name) for name in ("one", "two", "three"))
SIGN = "[b]ack "


def outlook(team: Team, plan: str = "job") -> list[str]:
    done = team.cli("ada", "status", plan, "--json")
    return [each["status"] for each in done.json["steps"]]


def records(team: Team, plan: str = "job") -> int:
    """How many decisions about a plan there are."""
    names = team.git("ls-tree", "-r", "--name-only", f"plan/{plan}", f"plans/{plan}/").split()
    return sum(name.endswith(".sig") for name in names)


def reject(screen: Terminal, why: str) -> None:
    screen.press("r")
    screen.until("(may be empty): ")
    screen.type(f"{why}\n")


def test_approve_step_by_step(team: Team) -> None:
    """The plan's head with its risks comes first, then each step; one signature for all."""
    team.propose("job", READ + EDIT + command(CHECK), extra="questions: ['Is it?']\n")
    with terminal(team, "bob", "review") as screen:
        first = screen.press("a")
        second = screen.press("a")
        last = screen.press("y", ask=SIGN)
        assert screen.end() == 0
    places = [
        first.index(part)
        for part in (
            "job: Do job",
            "  author   ada@example.com",
            "Risks\n  3 check  command: python3 -c",
            "  asks     Is it?",
            "· 1/3 read  needs no approval: read_file utils.py",
            "── job 2/3 ──",
            "edit  edit_file  change utils.py",
            "+def factorial(n):",
            "needs 1 approval by a person",
            "[a]pprove  [r]eject  [s]kip  [A]pprove all left  [b]ack  [v]iew  [q]uit  [?] ",
        )
    ]
    assert places == sorted(places)
    assert f"    command: {CHECK}\n" in second
    assert "approve  edit, check\n  for      7d (the policy's term)\n" in last
    digest = team.cli("ada", "status", "job", "--json").json["digest"]
    assert f"digest   {digest}\n" in last
    assert "✓ approved job: edit, check\n  until    2" in screen.text
    assert (outlook(team), records(team)) == (["ready"] * 3, 1)


def test_approve_and_reject(team: Team) -> None:
    """A rejected step is left out, what is behind it is asked and approved knowing so."""
    team.propose("job", STEP.format("one") + STEP.format("two") + READ)
    with terminal(team, "bob", "review", "job", "--max-runs", "2") as screen:
        screen.press("a")
        reject(screen, "no \x1bneed")
        shown = screen.press("a")
        last = screen.press("y", ask=SIGN)
        assert screen.end() == 0
    assert "read  read_file  utils.py" in shown
    for line in (
        "approve  one, read",
        "knowing  left out: two",
        "within   2 run(s)",
        "reject   two",
    ):
        assert f"  {line}\n" in last
    assert "because  no \\x1bneed" in last
    assert (outlook(team), records(team)) == (["ready", "rejected", "ready"], 2)


def test_approve_all_left_shows_all_of_it(team: Team) -> None:
    """What is signed was on the screen, though nobody was asked about each step."""
    team.propose("job", THREE)
    team.propose("other", STEP.format("one"))
    with terminal(team, "bob", "review") as screen:
        screen.press("s")
        screen.press("A")
        shown = screen.press("s")
        screen.press("y", ask=SIGN)
        assert screen.end() == 0
    assert (
        shown.index("+++ b/three") < shown.index("    approved\n") < shown.index("other: Do other")
    )
    assert outlook(team) == ["waiting", "ready", "ready"]
    assert (records(team), records(team, "other")) == (1, 0)


@pytest.mark.parametrize(
    "keys", [["a", "q"], ["s", "s", "s"], ["A", "n"], ["A", "\r"], ["a", "\x04"]]
)
def test_leaving_signs_nothing(team: Team, keys: list[str]) -> None:
    """Quitting, deciding nothing, no, and Enter where a confirmation is asked."""
    tip = team.propose("job", THREE)
    with terminal(team, "bob", "review") as screen:
        for number, key in enumerate(keys):
            screen.press(key, ask=SIGN if keys[0] == "A" and number else "[?] ")
        assert screen.end() == 0
    assert "Nothing was signed." in screen.text
    assert team.git("rev-parse", "plan/job") == tip


@pytest.mark.parametrize("where", ["key", "objection", "summary"])
def test_ctrl_c_signs_nothing(team: Team, where: str) -> None:
    """Wherever it is pressed, with exit code 130."""
    tip = team.propose("job", THREE)
    with terminal(team, "bob", "review") as screen:
        if where == "key":
            screen.press("\x03")
        elif where == "objection":
            screen.press("r")
            screen.until("(may be empty): ")
            screen.type("\x03")
        else:
            screen.press("A")
            screen.press("\x03", ask=SIGN)
        assert screen.end() == 130
    assert "interrupted" in screen.text
    assert "Traceback" not in screen.text
    assert team.git("rev-parse", "plan/job") == tip


def test_keys_typed_ahead_and_enter_decide_nothing(team: Team) -> None:
    """A key that is held down does not approve what has not been read."""
    team.propose("job", THREE)
    with terminal(team, "bob", "review") as screen:
        screen.type("aaa")
        screen.press("\r")
        for key in ("\n", "\x1b[A", " ", "y"):
            screen.type(key)
        screen.insist("?", "say what the keys do")
        screen.insist("q", "Nothing was signed.")
        assert screen.end() == 0
    assert "→ approve" not in screen.text
    assert screen.text.count("── job") == 1


def test_back_help_and_view(team: Team) -> None:
    """A verdict can be thought over, and a step be seen whole."""
    team.propose("job", THREE)
    with terminal(team, "bob", "review", env={"PAGER": "cat"}) as screen:
        screen.press("a")
        screen.press("b")
        again = screen.press("?")
        helped = screen.press("v")
        viewed = screen.press("S")
        assert screen.end() == 0
    assert "+++ b/one" in again
    assert "    approved\n" in again  # what was said so far
    assert "  A  approve all steps of this plan that are left\n" in helped
    digest = team.cli("ada", "show", "job", "--json").json["steps"][0]["digest"]
    assert digest in viewed
    assert records(team) == 0


def test_an_objection_can_be_left(team: Team) -> None:
    """Ctrl-D there asks for a key again."""
    team.propose("job", STEP.format("one"))
    with terminal(team, "bob", "review") as screen:
        screen.press("r")
        screen.until("(may be empty): ")
        screen.type("\x04")
        screen.press("a")
        assert "  approve  one\n" in screen.press("y", ask=SIGN)
        assert screen.end() == 0
    assert outlook(team) == ["ready"]


def test_back_from_the_summary(team: Team) -> None:
    """The last verdict can still be another one."""
    team.propose("job", THREE)
    with terminal(team, "bob", "review") as screen:
        for key in "aaa":
            screen.press(key)
        screen.press("b", ask=SIGN)
        screen.press("s")
        last = screen.press("y", ask=SIGN)
        assert screen.end() == 0
    assert "approve  one, two\n" in last
    assert "left     three\n" in last
    assert outlook(team) == ["ready", "ready", "waiting"]


def test_A05_a_plan_that_changed_meanwhile_is_told_and_the_next_one_signed(team: Team) -> None:
    """What was read is what is signed, or nothing is."""
    team.propose("first", EDIT)
    team.propose("second", EDIT)
    with terminal(team, "bob", "review") as screen:
        screen.press("a")
        screen.press("a")
        screen.until(SIGN)
        team.propose("first", EDIT.replace("n < 2", "n <= 1"))
        screen.type("y")
        assert screen.end() == 4
    assert "[digest_differs]" in screen.text
    assert "fix: look at it again: planlock show first" in screen.text
    assert (records(team, "first"), records(team, "second")) == (0, 1)


def test_nobody_reads_a_plan_twice(team: Team) -> None:
    """What one approved and what is the same behind a change are not shown again."""
    team.propose("job", READ + EDIT + command(CHECK) + command("make docs", name="docs"))
    team.approve("bob", "job")
    team.propose("job", READ + EDIT + command("make check") + command("make docs", name="docs"))
    with terminal(team, "bob", "review") as screen:
        first = screen.press("a")
        second = screen.press("a")
        screen.press("y", ask=SIGN)
        assert screen.end() == 0
    assert "Since you approved it at " in first
    assert "  2 unchanged, 1 behind a change, 1 changed\n" in first
    assert "✓ 2/4 edit  you approved it: edit_file change utils.py\n" in first
    assert f"input.command:\n      -{CHECK}\n      +make check\n" in first
    assert "command: make check" not in first.split("── job 3/4")[1]
    assert "as it was, behind a change: nothing new to read, to be approved anew\n" in second
    assert "make docs" not in second
    assert outlook(team) == ["ready"] * 4


def test_an_approval_that_expired_is_given_again_without_reading(team: Team) -> None:
    """What is known is asked in a line, says why, and can still be viewed."""
    team.propose("job", EDIT)
    made_at = time_text(datetime.now(UTC) - timedelta(days=8))
    forge(team, "job", draft(team, "job", "bob", made_at=made_at), key="bob")
    with terminal(team, "bob", "review", env={"PAGER": "cat"}) as screen:
        first = screen.press("v")
        viewed = screen.press("a")
        screen.press("y", ask=SIGN)
        assert screen.end() == 0
    assert "    unchanged, but the approval no longer counts: bob@example.com's" in first
    assert "+def factorial(n):" not in first
    assert "+def factorial(n):" in viewed
    assert outlook(team) == ["ready"]


@pytest.mark.parametrize("args", [["review"], ["show", "job"]])
def test_no_colours_on_a_dumb_terminal(team: Team, args: list[str]) -> None:
    """Where TERM says that it would print the codes."""
    team.propose("job", EDIT)
    with terminal(team, "bob", *args, env={"TERM": "dumb"}) as screen:
        if args == ["review"]:
            screen.press("q")
        assert screen.end() == 0
    assert "+def factorial(n):" in screen.text
    assert "\x1b" not in screen.raw


def test_colours_and_none(team: Team) -> None:
    """Code has the colours of its language, unless the user wants none."""
    team.propose("job", EDIT)
    with terminal(team, "bob", "review") as screen:
        screen.press("q")
        assert screen.end() == 0
    assert "\x1b[32m\x1b[1m+\x1b[0m\x1b[35mdef\x1b[0m" in screen.raw
    with terminal(team, "bob", "show", "job") as shown:
        assert shown.end() == 0
    assert "\x1b[32m\x1b[1m+\x1b[0m\x1b[35mdef\x1b[0m" in shown.raw
    with terminal(team, "bob", "review", env={"NO_COLOR": "1"}) as plain:
        plain.press("q")
        assert plain.end() == 0
    assert "\x1b" not in plain.raw


def test_a_narrow_terminal(team: Team) -> None:
    """Everything but code, paths and digests fits 40 columns, and nothing is lost."""
    team.propose("job", EDIT + command("curl g\u043eogle.com", more="network: [example.com]\n"))
    with terminal(team, "bob", "review", columns=40) as screen:
        shown = screen.press("q")
        assert screen.end() == 0
    assert (
        "\n[a]pprove  [r]eject  [s]kip\n[A]pprove all left  [b]ack  [v]iew\n[q]uit  [?] " in shown
    )
    head, _, rest = shown.partition("Risks\n")
    risks = rest.partition("\n\n")[0]
    assert max(map(len, risks.split("\n"))) <= 40
    assert "U+043E CYRILLIC SMALL LETTER O" in " ".join(risks.split())
    assert "── job 1/2 ─────────────────────────────\n" in rest
    assert "author   ada@example.com" in head


def test_E01_B04_a_hostile_plan(team: Team) -> None:
    """Escapes are shown and not obeyed; look-alikes and hidden characters are named at the top."""
    team.commit({"utils.py": UTILS + "# \x1b[2J\x1b]0;pwned\x07\u202e\n"}, "Escapes")
    team.propose("job", EDIT + command("curl g\u043eogle.com"))
    with terminal(team, "bob", "review", env={"NO_COLOR": "1"}) as screen:
        first = screen.press("A")
        screen.press("n", ask=SIGN)
        assert screen.end() == 0
    risks = first.partition("Risks\n")[2].partition("\n\n")[0]
    assert "1 edit  look twice: finds hidden characters in utils.py" in risks
    assert "2 check  unusual characters: command contains U+043E CYRILLIC SMALL LETTER O" in risks
    assert "-# \\x1b[2J\\x1b]0;pwned\\x07\\u202e" in first
    assert not {"\x1b", "\x07", "\u202e"} & set(screen.raw)


def test_nothing_waits(team: Team) -> None:
    """It says so at once."""
    team.propose("job", EDIT, who="bob")
    with terminal(team, "bob", "review") as screen:
        assert screen.end() == 0
    assert "no plans wait for you" in screen.text
    assert "Waiting for others:\njob  edit: 1 of 1 approval missing" in screen.text
