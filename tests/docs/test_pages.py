"""What the pages say can be followed: links lead somewhere, examples are valid, commands exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runner import schemas
from runner.cli import main as cli
from runner.core import documents
from runner.models import scripted
from runner.verbs.validate import validate
from tests.docs import reference
from tests.docs.markdown import PAGES, ROOT, anchors, blocks, links, with_section

NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
# The page that lists what does not exist yet may name it.
FUTURE = "docs/limits.md"
GROUPS = {"key", "people", "ledger", "models"}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_relative_links_lead_somewhere(name: str) -> None:
    """Each relative link names a file that is there, and each anchor a heading in it."""
    folder = (ROOT / name).parent
    for target in links(read(name)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (folder / path).resolve() if path else ROOT / name
        assert file.exists(), target
        assert file.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), target


def yaml_blocks() -> Iterator[tuple[str, str]]:
    for name in NAMES:
        for block in blocks(read(name)):
            if block.language == "yaml":
                yield name, block.text


@pytest.mark.parametrize("name,text", list(yaml_blocks()))
def test_yaml_blocks_are_valid(name: str, text: str, tmp_path: Path) -> None:
    """Each YAML block is a valid plan, policy, approval, record or model script, or part of one."""
    file = tmp_path / "block.yaml"
    value = documents.parse(text.encode(), file=name).value
    file.write_text(text if "version" in value else whole(value), encoding="utf-8")
    if "answers" in value:
        assert scripted.load(file).answers
    else:
        assert validate([file], load_schema=schemas.load).problems == ()


def whole(part: dict[str, Any]) -> str:
    """Complete some fields of a policy with the others of the policy page's first example."""
    assert set(part) <= set(schemas.load("policy")["properties"])
    first = next(block for block in blocks(read("docs/policy.md")) if block.language == "yaml")
    value = documents.parse(first.text.encode(), file="docs/policy.md").value
    return documents.dump({**value, **part}).decode()


def commands_named(page: str) -> set[str]:
    """Every `planlock X` in code, on a line of its own or in backticks."""
    code = "\n".join(re.findall(r"`([^`\n]+)`", page))
    code += "\n".join(block.text for block in blocks(page) if block.language == "console")
    return set(re.findall(r"(?:^|[ $(])planlock ([a-z]+(?: [a-z]+)?)", code, re.MULTILINE))


@pytest.mark.parametrize("name", [name for name in NAMES if name != FUTURE])
def test_pages_name_only_commands_that_exist(name: str) -> None:
    """A page about what there is names no command that the command line lacks."""
    known = {full.removeprefix("planlock ") for full, _ in reference.each_command()}
    for named in commands_named(read(name)):
        first = named.split()[0]
        assert first in cli.COMMANDS, f"planlock {named}"
        if first in GROUPS and " " in named:
            assert named in known, f"planlock {named}"


def test_limits_names_what_is_missing_and_nothing_that_exists() -> None:
    """A command that docs/limits.md lists as missing is really missing."""
    rows = [line for line in read(FUTURE).splitlines() if line.startswith("| `planlock")]
    assert rows
    missing = {
        word for row in rows for word in re.findall(r"`(?:planlock )?([a-z]+)`", row.split("|")[1])
    }
    assert missing
    assert missing & set(cli.COMMANDS) == set()


def test_make_targets_that_pages_name_exist() -> None:
    """Each `make X` in a page is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {
        found
        for name in NAMES
        for found in re.findall(r"(?:^|`)make ([a-z]+)", read(name), re.MULTILINE)
    }
    assert {"demo", "test"} <= named <= targets


@given(st.lists(st.tuples(st.sampled_from(["", "yaml", "console"]), st.text("ab\n $<>-!`:"))))
def test_the_text_of_a_block_is_where_it_says(parts: list[tuple[str, str]]) -> None:
    """Start and end of each block cut its very text out of the page, whatever is in it."""
    fence = "```"
    parts = [(language, text.replace(fence, "") + "\n") for language, text in parts]
    assume(all(line.strip() != fence for _, text in parts for line in text.splitlines()))
    page = "".join(f"prose\n\n{fence}{language}\n{text}{fence}\n" for language, text in parts)
    found = list(blocks(page))
    assert [(block.language, block.text) for block in found] == parts
    assert all(page[block.start : block.end] == block.text for block in found)


def test_nothing_of_a_workplace_is_in_the_docs_or_their_tests() -> None:
    """No page, picture or test of the docs holds a path of the machine that it was written on."""
    files = [*PAGES, ROOT / ".env.example", *(ROOT / "docs").rglob("*.svg")]
    files += sorted(Path(__file__).parent.glob("*.py"))
    foreign = re.compile(r"/(work|root|Users|mnt|var/folders|tmp)/[A-Za-z]")
    for file in files:
        found = foreign.search(file.read_text(encoding="utf-8"))
        assert found is None, f"{file}: {found}"


def test_every_page_is_linked_from_another() -> None:
    """A reader who starts at the README reaches every page of docs/ in some steps."""
    reached, pending = set[Path](), [ROOT / "README.md"]
    while pending:
        page = pending.pop()
        reached.add(page)
        targets = (target.partition("#")[0] for target in links(page.read_text(encoding="utf-8")))
        found = {(page.parent / target).resolve() for target in targets if "://" not in target}
        if (ROOT / "docs/adr") in found:
            found |= set((ROOT / "docs/adr").glob("*.md"))
        pending += [each for each in found if each.suffix == ".md" and each not in reached]
    assert set(PAGES) <= reached


def test_decision_records_have_context_decision_and_costs() -> None:
    """Each record in docs/adr is numbered without gaps and has its three sections."""
    records = sorted((ROOT / "docs/adr").glob("*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        sections = re.findall(r"^## (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert sections == ["Context", "Decision", "Costs"], path


def test_a_page_without_the_section_is_told() -> None:
    """A generated section that lost its markers is an error, not a silent nothing."""
    with pytest.raises(LookupError, match="0 sections named 'x'"):
        with_section("no markers", "x", "text")
    page = "<!-- generated: x -->\nold\n<!-- end -->\n"
    assert with_section(page, "x", "new") == "<!-- generated: x -->\n\nnew\n\n<!-- end -->\n"
