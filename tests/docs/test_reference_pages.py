"""Commands, options, settings, errors and formats are documented, all of them and no others."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest

from runner.cli import main as cli
from runner.cli.running import EXIT_CODES
from runner.settings import SETTINGS
from runner.verbs.audit_findings import CODES
from tests.docs import code_scan, codes, reference
from tests.docs.cases import CASES
from tests.docs.markdown import ROOT, prose

DOCS = ROOT / "docs"
OUT_OF_DATE = "python -m tests.docs.generate"
# Settings of git itself, and of the tests of this repository.
OTHER_VARIABLES = {
    "PLANLOCK_ROUTER_TOKEN",  # a secret, which belongs into no git configuration
    "PLANLOCK_TEST_MODEL_URL",
    "PLANLOCK_TEST_REQUIRE_ALL",
}


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", reference.sections())
def test_generated_sections_are_up_to_date(name: str) -> None:
    """Each generated section is what its schema, command, error or setting gives today."""
    assert text(name) == reference.page(name), OUT_OF_DATE


def test_every_command_and_option_is_documented() -> None:
    """docs/commands.md has a heading for each command and a row for each option."""
    page = text("commands.md")
    for name, command in reference.each_command():
        _, _, after = page.partition(f"## `{name}`\n")
        section = after.split("\n## ")[0]
        assert section, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert f"`{parameter.opts[0]}" in section, f"{name} {parameter.opts[0]}"


def test_every_option_has_a_help_text() -> None:
    """An option without a help text would have an empty row in the docs."""
    silent = [
        f"{name} {parameter.opts[0]}"
        for name, command in reference.each_command()
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.help
    ]
    assert silent == []


def test_every_exit_code_is_documented() -> None:
    """docs/exit-codes.md has a row for each exit code of errors, runs and the command line."""
    page = text("exit-codes.md")
    used = {each.exit_code for each in reference.each_error()}
    used |= {0, cli.BUG, cli.INTERRUPTED, *EXIT_CODES.values()}
    rows = {int(found) for found in re.findall(r"^\| ([0-9]+) \|", page, re.MULTILINE)}
    assert rows == used


def test_every_error_class_has_a_meaning() -> None:
    """Each class's code is explained, and no code that no class has."""
    ours = {each.code for each in reference.each_error() if each.__module__.startswith("runner.")}
    assert set(codes.ERRORS) == ours | {"bug"}


def test_every_code_in_the_source_has_a_meaning() -> None:
    """Each code that a problem, reason or failure can have is explained, and no other."""
    documented = {*codes.REASONS, *codes.FAILURES, *codes.PROBLEMS}
    found = code_scan.codes()
    assert found - documented - set(codes.ERRORS) - set(CODES) == set()
    assert documented - found - set(codes.ERRORS) == set()


def test_every_kind_of_forbidden_path_has_a_meaning() -> None:
    """Each kind that a WorkspaceSecurityError can have is explained, and no other."""
    assert code_scan.path_kinds() == set(codes.PATHS)


def test_the_codes_of_the_invalid_examples_are_documented() -> None:
    """What `planlock validate` really says of wrong files is found in docs/errors.md."""
    examples = sorted((ROOT / "tests/examples/invalid").glob("*.yaml"))
    said = {path.read_text(encoding="utf-8").split()[2] for path in examples}
    assert {code for code in said if not code.startswith("path_")} <= set(codes.PROBLEMS)
    paths = {code.removeprefix("path_") for code in said if code.startswith("path_")}
    assert paths <= set(codes.PATHS)


def test_every_audit_finding_is_documented() -> None:
    """docs/errors.md has a row for each finding code."""
    page = text("errors.md").partition("## Audit findings")[2]
    assert re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE) == list(CODES)


def test_the_environment_example_names_exactly_the_settings() -> None:
    """.env.example has each setting's variable once, commented out, and nothing else."""
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    lines = [line for line in example.splitlines() if line and not line.startswith("# ")]
    assert [line.partition("=")[0] for line in lines] == [f"#{it.variable}" for it in SETTINGS]


def test_pages_name_no_unknown_setting() -> None:
    """Every PLANLOCK_ variable and planlock.* option that a page names exists."""
    known = {it.variable for it in SETTINGS} | OTHER_VARIABLES
    options = {it.config for it in SETTINGS}
    for path in sorted(DOCS.rglob("*.md")):
        page = path.read_text(encoding="utf-8")
        assert set(re.findall(r"PLANLOCK_[A-Z_]*[A-Z]", page)) <= known, path
        assert set(re.findall(r"`(planlock\.[a-zA-Z]+)`", page)) <= options, path


def test_every_attack_case_with_a_test_has_a_title() -> None:
    """The table of the security model knows each case that a test is named after."""
    found = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        found |= set(re.findall(r"def test_([A-F][0-9]{2})_", path.read_text(encoding="utf-8")))
    assert found
    assert found <= set(CASES)


def test_cases_of_both_kinds_of_users_are_those_of_the_page() -> None:
    """`.ci/as-other-user` runs every file that docs/sandbox-attacks.md names, and the sandbox's."""
    listed = subprocess.run(
        [ROOT / ".ci/as-other-user", "--list"], capture_output=True, check=True, text=True
    )
    named = set(re.findall(r"\]\(\.\./(tests/[\w/]+\.py)\)", text("sandbox-attacks.md")))
    sandbox = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/sandbox/test_*.py")}
    assert named
    assert set(listed.stdout.split()) == named | sandbox


def test_an_attack_that_finds_no_command_is_called_refused() -> None:
    """The table says `refused` where a backend starts no step with hosts, and nowhere else."""
    rows = [line.split(" | ") for line in reference.attacks().splitlines()[2:]]
    assert [row[3] for row in rows if row[0] == "| D05"] == ["refused", "refused"]
    assert "refused" not in {cell for row in rows if row[0] != "| D05" for cell in row}


def test_the_scan_finds_codes_in_each_of_their_forms(tmp_path: Path) -> None:
    """A code is found as keyword, as argument, in a mapping and in a yielded check."""
    assert tmp_path.exists()
    found = code_scan.codes()
    assert {"approvals_missing", "duplicate_key", "interrupted", "duplicate_step"} <= found
    assert {"bad_signature", "approval_expired", "byte_order_mark", "shared_key"} <= found


def test_tables_escape_what_would_end_a_cell() -> None:
    """A bar in a meaning does not add a column."""
    assert reference.table(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |"


def test_prose_about_fields_is_generated_for_every_schema() -> None:
    """Every published schema has its table of fields on some page."""
    shown = "".join(prose(text(name)) for name in reference.sections())
    for field in ("`planner`", "`plans_signed`", "`supersedes`", "`plan_tip`", "`previous`"):
        assert f"| {field} |" in shown, field
