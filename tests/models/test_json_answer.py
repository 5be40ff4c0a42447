from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.models.json_answer import MAX_DEPTH, parse

FENCE = "```"


@pytest.mark.parametrize(
    "text,value",
    [
        ('{"n": 4}', {"n": 4}),
        ('\ufeff  {"n": 4}\n', {"n": 4}),
        ('"text"', "text"),
        ("4.5", 4.5),
        (f'{FENCE}json\n{{"n": 4}}\n{FENCE}', {"n": 4}),
        (f'{FENCE}\r\n{{"n": 4}}\n{FENCE}\n', {"n": 4}),
        (f'{FENCE}json\n"text"\n{FENCE}', "text"),
        (f'Here it is:\n{FENCE}json\n{{"n": 4}}\n{FENCE}\nAnything else?', {"n": 4}),
        ('Sure! {"n": 4} is what you want.', {"n": 4}),
        ('{"n": 4}\n\nNote: see [1] and {that}.', None),
        ('{"n": 4}\n\nNote: see {that}.', {"n": 4}),
    ],
)
def test_one_value_is_found_among_what_models_put_around_it(text: str, value: Any) -> None:
    """Fences, byte order marks and words around the value do not matter; a second value does."""
    if value is None:
        with pytest.raises(ValueError, match="more than one"):
            parse(text)
        return
    assert parse(text) == value


@pytest.mark.parametrize(
    "code",
    [f"{FENCE}python\nx = 1\n{FENCE}", f'{FENCE}json\n{{"n": 5}}\n{FENCE}', FENCE, '{"n": 5}'],
)
@pytest.mark.parametrize("around", ["{}", f"{FENCE}json\n{{}}\n{FENCE}", "So: {}."])
def test_fences_inside_of_strings_are_content(code: str, around: str) -> None:
    """Small models write code with its fence into a string: it stays there."""
    assert parse(around.replace("{}", json.dumps({"code": code}))) == {"code": code}


@pytest.mark.parametrize(
    "text,words",
    [
        ("", "no JSON"),
        ("I cannot do that.", "no JSON"),
        ('{"a": 1, "a": 2}', "the key 'a' stands in it twice"),
        ('{"a": {"b": 1, "b": 1}}', "the key 'b' stands in it twice"),
        ('{"a": NaN}', "NaN in it is no number"),
        ('{"a": -Infinity}', "-Infinity in it is no number"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 5000 + "}", "too large"),
        ('{"a": "\\ud800"}', "half a character"),
        ('{"\\ud800": 1}', "half a character"),
        ('{"a": 1} {"a": 2}', "more than one JSON value"),
        ('{"a": {"b": 1}, oops}', "no JSON"),
        ('[{"a": 1}, {"a": 2}', "no JSON"),
        ('{"a": "two\nlines"}', "Invalid control character"),
        ("{'a': 1}", "no JSON"),
        ('{"a": 1,}', "no JSON"),
        ("[" * 100_000, "nested deeper"),
        ("[" * 500 + "]" * 500, "nested deeper"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested deeper"),
        ("{} " + "[" * 100_000, "nested deeper"),
        ("{} " + "{" * 1000, "more than one"),
    ],
)
def test_what_is_doubtful_is_not_read(text: str, words: str) -> None:
    """Broken, ambiguous or absurd text has no value, and no part of it is taken for one."""
    with pytest.raises(ValueError, match=words) as caught:
        parse(text)
    assert type(caught.value) is ValueError
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_depth_is_bounded_exactly() -> None:
    """The deepest that may be is read."""
    assert parse("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(ValueError, match="deeper"):
        parse("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=values, before=st.sampled_from(["", "Here: ", "```json\n"]))
def test_every_object_is_read_back(value: Any, before: str) -> None:
    """Whatever JSON can hold comes out as it went in, also between words."""
    whole = {"value": value}
    text = json.dumps(whole, ensure_ascii=False)
    assert parse(before + text + ("\n```" if "```" in before else "")) == whole


@given(text=st.text(alphabet=st.sampled_from('[]{}",:0e \\`nt')))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    """Anything is a value or a ValueError."""
    try:
        json.dumps(parse(text), allow_nan=False)
    except ValueError as error:
        assert str(error)  # noqa: PT017  # both ends are right
