from __future__ import annotations

from typing import Any

import pytest

from runner.core import doubts
from runner.core.plan import Plan
from runner.core.text import confusable_characters

STEP = {"id": "a", "step_type": "read_file", "description": "Look", "input": {"path": "x"}}


def plan(**fields: Any) -> Plan:
    return Plan.model_validate(
        {"version": 1, "id": "job", "goal": "Do it", "steps": [STEP], **fields}
    )


@pytest.mark.parametrize(
    "text,names",
    [
        ("Fix p\u0430ypal", ["CYRILLIC SMALL LETTER A"]),
        (
            "Read the \u0441\u043e\u0440\u0443",
            ["CYRILLIC SMALL LETTER ES", "CYRILLIC SMALL LETTER U"],
        ),
        ("\uff32un it", ["FULLWIDTH LATIN CAPITAL LETTER R"]),
        ("bold \U0001d431", ["MATHEMATICAL BOLD SMALL X"]),
        ("step \u2168", ["ROMAN NUMERAL NINE"]),
        ("Reset \u0251dmin", ["LATIN SMALL LETTER ALPHA"]),
        ("Ask \u0391\u03a1\u0399", ["GREEK CAPITAL LETTER ALPHA", "GREEK CAPITAL LETTER IOTA"]),
    ],
)
def test_B04_letters_that_pass_for_others(text: str, names: list[str]) -> None:
    """In a mixed word, in a word of look-alikes alone, and as a variant of a Latin letter."""
    found = [each.name for each in confusable_characters(text)]
    assert set(names) <= set(found)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Plain ASCII, 1st",
            "caf\u00e9 na\u00efve Stra\u00dfe I\u015f\u0131k",
            "\u6f22\u5b57 API",
            "2 \u00bd \u2116 5 \u2122",
        ),
        "\u0438\u0441\u043f\u0440\u0430\u0432\u0438\u0442\u044c \u0441\u043e\u0440\u0443 API",
        "let \u03b1 and \u03c1 be",
    ],
)
def test_ordinary_languages_raise_no_doubt(text: str) -> None:
    """A text in a script of its own, accents, signs, and Greek letters of formulas."""
    assert list(confusable_characters(text)) == []


@pytest.mark.parametrize(
    "fields,about",
    [
        ({"goal": "Do \u0430ll"}, "the goal"),
        ({"assumptions": ["fine", "\uff32un"]}, "assumption 2"),
        ({"questions": ["wh\u0443?"]}, "question 1"),
        ({"goal": "a\u202eb"}, "the goal"),
    ],
)
def test_B03_B04_a_plan_is_doubted_by_its_texts(fields: dict[str, Any], about: str) -> None:
    """Each text of the header is told by its place and the names of the characters."""
    (warning,) = doubts.of_plan(plan(**fields))
    assert warning.startswith(f"{about} has ")
    assert "U+" in warning
    assert doubts.of_plan(plan()) == ()


def test_B04_a_step_is_doubted_by_what_is_for_reading() -> None:
    """The description and what a plugin is told; paths and commands are judged as risks."""
    step = {
        **STEP,
        "step_type": "mail",
        "description": "Look \u0430t",
        "input": {"to": [{"n\u0430me": "x"}], "path": "\u0430b"},
    }
    found = doubts.of_step(plan(steps=[step]).steps[0])
    assert [each.split(" has ")[0] for each in found] == ["the description", "'to'"]


def test_many_characters_are_told_in_few_words() -> None:
    """The first three by name, then how many more."""
    (warning,) = doubts.of_plan(plan(goal="x\u0430\u0435\u043e\u0440\u0441"))
    assert warning.endswith("U+043E CYRILLIC SMALL LETTER O and 2 more")
