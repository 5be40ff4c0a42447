"""What is too long for a rendering is cut, and it says so."""

from __future__ import annotations

import pytest
from team import EDIT, Team, command

from runner.cli import formats_actions, formats_html, formats_markdown
from runner.cli.formats import Block, Document, Facts, Part, Section

CUT = "this rendering is cut: read all of it with"
APPROVE = "planlock approve x"


def document(*parts: Part) -> Document:
    """A document that offers a plan whose only step has these parts."""
    return Document(
        title=("Plan", "x"),
        parts=(Block(label="goal", text="Do it", language="text"),),
        sections=(Section(title=("Step 1", "s"), parts=parts),),
        last=(Block(label="to approve exactly this", text=APPROVE, language="shell"),),
        reads="planlock show x",
    )


def command_of(text: str) -> Block:
    return Block(label="command", text=text, language="shell")


def written(format_: str, whole: Document, capsys: pytest.CaptureFixture[str]) -> str:
    modules = {"markdown": formats_markdown, "html": formats_html, "actions": formats_actions}
    modules[format_].write(whole)
    return capsys.readouterr().out


@pytest.mark.parametrize("format_", ["markdown", "html", "actions"])
@pytest.mark.parametrize("text", ["x" * 1_000_001, "\u200b" * 300_000])
def test_B05_what_is_too_long_for_any_page_is_not_offered(
    format_: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where it grows only as it is shown; shorter texts of the same kind are whole."""
    for parts in ((command_of(text),), (Facts(rows=(("does", text),)),)):
        shown = written(format_, document(*parts), capsys)
        assert (f"{CUT} planlock show x" in shown, APPROVE in shown) == (True, False)
        assert "more characters)" in shown
    shown = written(format_, document(command_of(text[:1000])), capsys)
    assert (CUT in shown, APPROVE in shown) == (False, True)


def test_B05_many_long_facts_are_all_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is short enough, so they are shown together."""
    rows = tuple(("asks", f"{'x' * 300_000}end{number}") for number in range(5))
    shown = written("actions", document(Facts(rows=rows)), capsys)
    assert all(f"xend{number}\n" in shown for number in range(5))
    assert APPROVE in shown


def test_B05_rows_that_are_left_out_are_told() -> None:
    """More facts than a comment has rows for are a cut like others."""
    for count, is_cut in ((100, False), (101, True)):
        shown = formats_markdown.text(document(Facts(rows=(("asks", "y"),) * count)))
        assert (CUT in shown, APPROVE in shown) == (is_cut, not is_cut)


def test_B05_commands_are_cut_last() -> None:
    """A command is whole beside a diff that is not; where nothing else is left, it is cut too."""
    long, diff = "true\n" * 5_000, Block(label="diff", text="+x\n" * 20_000, language="diff")
    shown = formats_markdown.text(document(command_of(f"{long}rm -rf x"), diff))
    assert "\nrm -rf x\n```" in shown
    assert CUT in shown
    shown = formats_markdown.text(document(*[command_of(f"{long}rm -rf x")] * 3))
    assert "rm -rf x" not in shown
    assert CUT in shown


def test_E05_a_comment_has_room_for_any_facts() -> None:
    """Where there is no detail to leave out, there are fewer rows."""
    rows = tuple(("look twice", "`" * 5000) for _ in range(5000))
    shown = formats_markdown.text(
        Document(title=("Plan", "x"), parts=(Facts(rows=rows),) * 5, sections=())
    )
    assert len(shown) <= formats_markdown.LONGEST
    assert CUT in shown
    assert "- and 49" in shown


def test_B05_a_terminal_shows_all_of_a_plan(team: Team) -> None:
    """However long a line of a diff is, its end stands above the command to approve."""
    team.propose("job", EDIT.replace("factorial(n)", f"f{'x' * 70_000}end(n)"))
    shown = team.cli("bob", "show", "job").out
    assert "xend(n)" in shown
    assert "planlock approve job --digest" in shown
    team.approve("bob", "job")
    team.propose("job", EDIT.replace("factorial(n)", f"g{'y' * 70_000}end(n)"))
    assert "yend(n)" in team.cli("bob", "diff", "job").out


@pytest.mark.usefixtures("confined")
def test_a_log_says_that_it_is_cut(team: Team) -> None:
    """A comment cannot hold a long output; a page, a workflow's log and a terminal can."""
    team.propose("job", command("seq 20000"))
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job").code == 0
    shown = {
        style: team.cli("bob", "log", "job", "--format", style).out
        for style in ("markdown", "html", "actions")
    }
    for style, text in shown.items():
        assert (f"{CUT} planlock log job/1 --full" in text) is (style == "markdown")
        assert ("20000" in text) is (style != "markdown")
    assert "    | 20000\n" in team.cli("bob", "log", "job", "--full").out
