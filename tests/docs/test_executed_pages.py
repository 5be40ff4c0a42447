"""README, tutorials and the auditors' page are played from top to bottom, with real git and keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.sandbox.commands import Backend
from tests.docs import picture
from tests.docs.markdown import blocks
from tests.docs.stories import EXECUTED, played, read
from tests.docs.transcripts import agrees, exchanges, masked, with_real_outputs


@pytest.mark.usefixtures("confined")
@pytest.mark.parametrize("name", EXECUTED)
def test_a_page_shows_what_its_commands_print(name: str, tmp_path: Path) -> None:
    """Every command of the page prints what the page shows, apart from digests, ids and times."""
    differing = [each for each in played(name, tmp_path) if not each.agrees]
    report = [f"$ {each.exchange.command}\n{each.real}" for each in differing]
    assert not report, f"{name}: python -m tests.docs.generate\n" + "\n".join(report)


@pytest.mark.parametrize("name", EXECUTED)
def test_every_console_block_says_who_types_it(name: str) -> None:
    """No console block of an executed page is left out because nobody types it."""
    consoles = [block for block in blocks(read(name)) if block.language == "console"]
    assert consoles
    for block in consoles:
        assert "as" in block.directives, block.text
        assert block.text.startswith("$ ")
        assert list(exchanges(block))


def test_console_blocks_stand_on_executed_pages_only() -> None:
    """A console block elsewhere would be an output that nothing checks."""
    from tests.docs.markdown import PAGES, ROOT

    with_console = {
        page.relative_to(ROOT).as_posix()
        for page in PAGES
        if any(block.language == "console" for block in blocks(page.read_text(encoding="utf-8")))
    }
    assert with_console == set(EXECUTED)


def test_the_picture_shows_the_last_command_of_the_readme() -> None:
    """docs/run.svg has the text that the README shows, so neither can be out of date alone."""
    assert agrees(picture.last_exchange(), picture.current())


def test_the_picture_keeps_colours_and_escapes_what_svg_would_read() -> None:
    """Terminal colours become fills, and `<` stays text."""
    drawing = picture.svg("\x1b[32m✓\x1b[0m a <b> & \x1b[1mc\x1b[0m")
    assert '<tspan fill="#57ab5a">✓</tspan>' in drawing
    assert "a &lt;b&gt; &amp; " in drawing
    assert picture.shown(drawing) == "✓ a <b> & c"


def test_masking_hides_what_differs_from_run_to_run() -> None:
    """Digests, commits, ULIDs, times and durations are masked, words and counts are not."""
    digest = "sha256:" + "ab" * 32
    text = f"at 0123456789ab {digest} until 2026-11-29T11:24:05Z 01M81FZG084B03AMRN5C0T5TTW 0.4 s"
    assert masked(text) == "at COMMIT sha256:DIGEST until TIME ULID SECONDS"
    assert masked("3 file(s) checked, 0 with problems") == "3 file(s) checked, 0 with problems"


def test_an_elision_stands_for_any_lines_and_nothing_else_does() -> None:
    """`…` on a line of its own matches lines that are left out; other lines must be equal."""
    assert agrees("one\n…\nfour", "one\ntwo\nthree\nfour\n")
    assert not agrees("one\n…\nfour", "one\ntwo\nthree\n")
    assert not agrees("one", "one\ntwo")


def test_outputs_are_rewritten_together(tmp_path: Path) -> None:
    """A page with one wrong output gets all outputs anew; one that agrees stays as it is."""
    from tests.docs.transcripts import Story, play

    wrong = "<!-- as: ada -->\n```console\n$ echo one\n1\n$ echo 2.0 s\n3.0 s\n```\n"
    right = wrong.replace("\n1\n", "\none\n").replace("3.0 s", "2.0 s")
    assert with_real_outputs(wrong, list(play(Story(tmp_path), wrong))) == right
    agreeing = right.replace("\n2.0 s\n```", "\n9.0 s\n```")
    assert with_real_outputs(agreeing, list(play(Story(tmp_path), agreeing))) == agreeing


def test_a_failing_command_shows_its_exit_code(tmp_path: Path, confined: Backend) -> None:
    """Exit codes other than 0 are part of the transcript, in a terminal too."""
    from tests.docs.transcripts import Story

    assert confined
    story = Story(tmp_path)
    assert story.run("ada", "false") == "(exit code 1)\n"
    assert story.run("ada", "echo out; exit 4", terminal=True) == "out\n(exit code 4)\n"
