"""Plans and runs as Markdown, HTML and workflow logs."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any

import github_page
import pytest
from actions_parser import commands
from hostile_text import TEXTS, controls
from hypothesis import given, settings
from hypothesis import strategies as st
from team import CHECK, EDIT, READ, Team, command

from runner.cli import formats_html, formats_markdown
from runner.cli.formats import Block, Document, Facts, Section, Table

HOSTILE = st.sampled_from([*TEXTS.values(), "", "x"])
OTHER = "- {{id: s{0}, step_type: read_file, description: D, input: {{path: utils.py}}}}\n"


def document(*texts: str) -> Document:
    """A document with these texts in every place that takes one."""
    parts = (
        Facts(rows=tuple(("look twice", text) for text in texts)),
        Table(head=("one", "two"), rows=tuple((text, "x") for text in texts)),
        Block(label="output", text="\n".join(texts), language="diff"),
    )
    section = Section(title=("Step 1", *texts), parts=parts)
    return Document(title=("Plan", *texts), parts=parts, sections=(section,), last=parts)


def shape(page: Any) -> list[tuple[str, dict[str, str]]]:
    """All but code and the colours of a diff."""
    return [each for each in github_page.elements(page) if each[0] not in {"code", "span"}]


def test_a_plan_as_markdown(team: Team) -> None:
    """Warnings first, a table of the steps, of each its details and diff, how to approve."""
    team.propose("job", READ + EDIT + command("cat n\u0430me"))
    text = team.cli("bob", "show", "job", "--format", "markdown").out
    parts = (
        "## Plan `job`\n",
        "- **look twice**: `step 3 check: command contains U+0430 CYRILLIC SMALL LETTER A`",
        "goal:\n\n```text\nDo job\n```",
        "- author: `ada@example.com`",
        "| no | step | type | needs | risks |\n| --- |",
        "| `2` | `edit` | `edit_file` | `1 approval by a person (default edit_file)` |  |",
        "<details><summary>Step 2 <code>edit</code> <code>edit_file</code></summary>\n\n",
        "```diff\n--- a/utils.py\n",
        "```shell\ncat n\u0430me\n```",
        "```shell\nplanlock approve job --digest sha256:",
    )
    places = [text.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)


@pytest.mark.usefixtures("confined")
def test_a_run_in_each_format(team: Team) -> None:
    """What happened, what it cost, and the output, bounded, in a part of its own."""
    team.propose("job", EDIT + command(CHECK))
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job").code == 0
    shown = {
        style: team.cli("bob", "log", "job", "--format", style).out
        for style in ("text", "markdown", "html", "actions")
    }
    assert "## Run `job/1` `completed`" in shown["markdown"]
    assert "output:\n\n```text\n120\n```" in shown["markdown"]
    assert "- changed: `utils.py`" in shown["markdown"]
    assert "<p>output:</p>\n<pre>\n120\n</pre>" in shown["html"]
    assert "::group::Record 2 check completed\n" in shown["actions"]
    assert shown["text"] == team.cli("bob", "log", "job").out
    for text in shown.values():
        assert "approved by" in text
        assert "cost" in text


def test_json_is_a_format(team: Team) -> None:
    """`--json` is short for it, in errors too; it goes with no other format."""
    team.propose("job", READ)
    for words in (["--json"], ["--format", "json"], ["--format=json"], ["--json", "--format=json"]):
        assert team.cli("bob", "show", "job", *words).json["id"] == "job"
        assert team.cli("bob", "show", "none", *words).json["error"]["code"] == "not_found"
    for words in (["--json", "--format", "html"], ["--format", "pdf"]):
        assert team.cli("bob", "show", "job", *words).code == 2


@given(text=HOSTILE, other=HOSTILE)
@settings(max_examples=60)
def test_E02_no_text_changes_the_shape_of_a_comment(text: str, other: str) -> None:
    """The tree is that of harmless texts, and nothing stands outside of code but our words."""
    shown = formats_markdown.text(document(f"a{text}", f"b{other}"))
    plain = formats_markdown.text(document("a", "b"))
    page, harmless = github_page.of_markdown(shown), github_page.of_markdown(plain)
    assert shape(page) == shape(harmless)
    assert github_page.mentionable(page).split() == github_page.mentionable(harmless).split()
    assert controls(shown) == []


@given(text=HOSTILE, other=HOSTILE)
@settings(max_examples=60)
def test_E02_no_text_changes_the_shape_of_a_page(text: str, other: str) -> None:
    """No element, attribute or style of the page comes from a text."""
    shown = "\n".join(formats_html.page(document(f"a{text}", f"b{other}")))
    plain = "\n".join(formats_html.page(document("a", "b")))
    assert shape(github_page.of_html(shown)) == shape(github_page.of_html(plain))
    assert controls(shown) == []


def test_E02_the_page_loads_and_runs_nothing() -> None:
    """Its policy allows its own style alone, named by digest, and it has nothing else to load."""
    page = github_page.of_html("\n".join(formats_html.page(document("x"))))
    (style,) = github_page.texts(page, "style")
    (policy,) = [
        each.attrib["content"] for each in page.iter("meta") if "http-equiv" in each.attrib
    ]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    loading = {"src", "href", "srcset", "style", "background", "onload"}
    assert not [each for each in page.iter() if loading & set(each.attrib)]
    assert not set(github_page.texts(page, "script"))


@pytest.mark.parametrize("text", ["x" * 100_000_000, "`" * 1_000_000, "|\n" * 500_000])
def test_E05_a_comment_has_room_for_any_output(text: str) -> None:
    """It is short enough for GitHub, quickly made, and its parts are closed."""
    before = time.process_time()
    shown = formats_markdown.text(document(*[text] * 3))
    page = "\n".join(formats_html.page(document(text)))
    assert time.process_time() - before < 10
    assert len(shown) <= formats_markdown.LONGEST
    assert shown.count("<details>") == shown.count("</details>") == 1
    assert "more characters)" in shown
    assert len(page) < 8_000_000


def test_E05_a_comment_has_room_for_any_number_of_steps(team: Team) -> None:
    """Details of the last steps are left out, and it says of how many."""
    document_ = Document(
        title=("Plan", "x"),
        parts=(Table(head=("no",), rows=tuple((str(n),) for n in range(5000))),),
        sections=tuple(
            Section(title=(f"Step {n}", "x" * 300), parts=(Block(label="b", text="y" * 900),))
            for n in range(5000)
        ),
    )
    shown = formats_markdown.text(document_)
    left = 5000 - shown.count("<details>")
    assert len(shown) <= formats_markdown.LONGEST
    assert f"The details of {left} more are left out here." in shown
    assert "and 4900 more" in shown
    team.propose("job", "".join(OTHER.format(number) for number in range(40)))
    assert len(team.cli("bob", "show", "job", "--format", "markdown").out) < 65_536


def test_E03_what_to_look_at_twice_is_an_annotation(team: Team) -> None:
    """In a workflow's log a warning is also shown beside the run."""
    team.propose("job", command("cat n\u0430me"))
    shown = team.cli("bob", "show", "job", "--format", "actions").out
    assert commands(shown) == ["warning", "group", "endgroup"]
    assert "::warning title=look twice::step 1 check: command contains U+0430" in shown


def test_B04_doubtful_letters_are_flagged_everywhere(team: Team) -> None:
    """In the goal and a description, in every format and in the commands of a review."""
    path = team.plan("job", READ.replace("Look", "L\u043eok"))
    path.write_text(path.read_text().replace("goal: Do job", "goal: Do j\u043eb"))
    assert team.cli("ada", "propose", "job").code == 0
    team.approve("bob", "job")
    for words in (
        *(
            ["show", "job", "--format", each]
            for each in ("text", "json", "markdown", "html", "actions")
        ),
        ["diff", "job"],
    ):
        text = " ".join(team.cli("bob", *words).out.split())
        assert "the goal has letters that may pass for others" in text, words
        assert "U+043E CYRILLIC SMALL LETTER O" in text
        assert words[0] == "diff" or "the description has letters" in text


@pytest.mark.parametrize("format_", ["markdown", "html", "actions"])
def test_B05_nobody_is_asked_to_approve_what_is_not_shown(team: Team, format_: str) -> None:
    """A rendering has all of a plan, or says that it has not and names no command to approve."""
    script = "echo " + "a" * 3000 + "; rm -rf x"
    team.propose("job", "".join(command(script, name=f"s{n}") for n in range(45)))
    shown = team.cli("bob", "show", "job", "--format", format_).out
    whole = shown.count("; rm -rf x") >= 45
    assert whole is ("planlock approve job --digest" in shown)
    assert whole is ("this rendering is cut" not in shown)
    assert whole is (format_ != "markdown")


def test_E05_live_output_has_an_end(team: Team) -> None:
    """A command that never stops talking does not wait for a terminal to show it all."""
    team.propose("job", command("yes | head -c 5000000"))
    team.approve("bob", "job")
    done = team.cli("ada", "run", "job")
    assert done.code == 0, done.text
    assert len(done.err) < 500_000
    assert "more lines: planlock log PLAN --full has their end" in done.err
