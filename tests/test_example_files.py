from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from runner import schemas
from runner.verbs.validate import Report, validate

ROOT: Final = Path(__file__).parents[1]
PLANS: Final = sorted((ROOT / "plans/examples").glob("*.yaml"))
VALID: Final = sorted((ROOT / "tests/examples/valid").glob("*.yaml"))
INVALID: Final = sorted((ROOT / "tests/examples/invalid").glob("*.yaml"))


def check(path: Path) -> Report:
    return validate([path], load_schema=schemas.load)


def kind_of(path: Path) -> str:
    """Files are named after their kind: `policy-term.yaml`."""
    return path.stem.split("-", maxsplit=1)[0]


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_an_example_plan_is_valid_and_says_what_it_shows(path: Path) -> None:
    """Each plan in plans/examples is valid and begins with the schema and an explanation."""
    report = check(path)
    assert report.problems == ()
    assert [each.kind for each in report.checked] == ["plan"]
    schema, explanation = path.read_text().splitlines()[:2]
    assert schema == "# yaml-language-server: $schema=../../schemas/plan.v1.json"
    assert explanation.startswith("# ")


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_file_has_no_problems(path: Path) -> None:
    """Each file in tests/examples/valid is valid as the kind that its name begins with."""
    report = check(path)
    assert report.problems == ()
    assert [each.kind for each in report.checked] == [kind_of(path)]


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_file_has_exactly_the_problem_that_it_announces(path: Path) -> None:
    """Each file in tests/examples/invalid has one mistake: code, place and path are announced."""
    report = check(path)
    assert [each.kind for each in report.checked] == [kind_of(path)]
    found = [
        f"# error: {each.code} {each.line}:{each.column} {each.path}" for each in report.problems
    ]
    assert found == [path.read_text().splitlines()[0]]
    assert report.problems[0].fix


def test_the_examples_cover_every_kind_of_file() -> None:
    """There are valid and invalid examples of all six kinds."""
    valid = {kind_of(path) for path in VALID} | {"plan"}
    assert valid == {kind_of(path) for path in INVALID} == set(schemas.NAMES)


def test_this_repository_is_valid_as_a_whole() -> None:
    """Validating a repository's root checks what lies below plans/, all of it."""
    report = check(ROOT)
    assert report.problems == ()
    assert {each.file for each in report.checked} >= {path.as_posix() for path in PLANS}
