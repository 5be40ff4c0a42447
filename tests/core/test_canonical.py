from __future__ import annotations

import hashlib
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from runner.core.canonical import MAX_INTEGER, canonical_json, chain, sha256_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
HELLO_SHA256 = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@given(VALUES)
def test_canonical_json_is_that_of_rfc_8785(value: Any) -> None:
    """Every value of our documents has the bytes that another implementation gives."""
    assert canonical_json(value) == rfc8785.dumps(value)


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 9), min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    """Equal mappings have equal bytes."""
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_keys_are_sorted_by_utf_16() -> None:
    """A character beyond the basic plane comes before U+FB33, as in the RFC's own example."""
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    order = ["\\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    written = canonical_json(value).decode()
    assert sorted(order, key=lambda key: written.index(f'"{key}":')) == order


@pytest.mark.parametrize(
    "value", [1.0, float("nan"), b"x", (1,), {1: "x"}, {None: 1}, [{"a": {1}}]]
)
def test_types_that_documents_cannot_hold_are_refused(value: Any) -> None:
    """A float, bytes, a tuple or a key that is no string has no canonical form."""
    with pytest.raises(TypeError, match="has no canonical form"):
        canonical_json(value)


@pytest.mark.parametrize(
    "value,name", [(1.5, "value of type float"), ({1: "x"}, "key of type int")]
)
def test_what_has_no_canonical_form_is_told_by_its_type(value: Any, name: str) -> None:
    """The message says what was met, which a caller cannot see otherwise."""
    with pytest.raises(TypeError, match=name):
        canonical_json(value)


@pytest.mark.parametrize("value", [MAX_INTEGER, -MAX_INTEGER])
def test_the_largest_exact_integers_are_written_in_full(value: int) -> None:
    """At the very bound an integer still has its exact digits."""
    assert canonical_json(value) == str(value).encode()


@pytest.mark.parametrize("value", [MAX_INTEGER + 1, -MAX_INTEGER - 1, "\ud800", {"\ud800": 1}])
def test_values_that_json_would_change_are_refused(value: Any) -> None:
    """An integer that a reader would round, or half a surrogate pair, is refused."""
    with pytest.raises(ValueError, match=r"range of exact|surrogates not allowed"):
        canonical_json([value])


def test_a_digest_names_its_algorithm() -> None:
    """A digest is `sha256:` and 64 lower-case hexadecimal digits."""
    assert sha256_text(b"hello") == HELLO_SHA256


def test_a_chain_covers_label_previous_and_value() -> None:
    """The digest is over the label, the previous digest as written, and the canonical value."""
    first = chain("planlock/plan/v1", {"b": 1, "a": 2})
    second = chain("planlock/step/v1", {"id": "x"}, first)
    plain = b'planlock/plan/v1\n{"a":2,"b":1}'
    assert first == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    linked = f'planlock/step/v1\n{first}\n{{"id":"x"}}'.encode()
    assert second == f"sha256:{hashlib.sha256(linked).hexdigest()}"


@given(VALUES, VALUES)
def test_a_change_of_an_earlier_link_changes_the_later_ones(one: Any, other: Any) -> None:
    """Two chains end alike only if their first links are the same."""
    ends = [chain("s", {"id": "x"}, chain("p", first)) for first in (one, other)]
    assert (ends[0] == ends[1]) == (canonical_json(one) == canonical_json(other))
