from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import schemas
from runner.core import validation
from runner.core.documents import dump, parse
from runner.core.errors import InvalidDocument
from runner.core.yaml_canonical import read_canonical

KEYS = st.sampled_from(["a", "step", "b_c", "X-1", "true"])
WORDS = st.sampled_from(
    [
        *("", "true", "No", "inf", "0", "-1", "1e5", "4f" * 20, "sha256:" + "a" * 64),
        *("a: b", "a #b", "- a", "x:", "|", "|-", '"', "\\n", "{}", "[]", "ß", "<<", "~"),
        *("a\nb", "a\nb\n", " a\nb", "\n", "a\n\n  b\n", "2026-11-22T10:00:00Z", "..."),
    ]
)
TEXTS = st.one_of(WORDS, st.text(max_size=9), st.text("ab:- #\n\"'\\|\t", max_size=9))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(TEXTS, st.integers(-(2**53) + 1, 2**53 - 1), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(KEYS, TEXTS), inner, max_size=3)
    ),
    max_leaves=10,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)

DIGEST = "sha256:" + "0a" * 32
RECORD: dict[str, Any] = {
    "version": 1,
    "kind": "step",
    "previous": DIGEST,
    "step": {"id": "look", "number": 1, "type": "read_file", "digest": DIGEST},
    "status": "completed",
    "started_at": "2026-11-22T10:00:00Z",
    "ended_at": "2026-11-22T10:00:01Z",
    "executor": {"planlock": "0.1.0", "platform": "Linux"},
    "output": {"text": "one\n\n  two: 2\n", "digest": DIGEST, "length": 3, "truncated": False},
    "changes": [{"path": "a b", "before": None, "after": DIGEST, "mode": "0644", "size": 3}],
    "calls": [],
}


def written(value: Any) -> bytes | None:
    try:
        return dump(value)
    except ValueError:
        return None


@given(DOCUMENTS)
def test_what_is_read_fast_is_what_is_read_strictly(value: dict[str, Any]) -> None:
    """The value and the types of every part are equal, wherever the fast reader gives one."""
    data = written(value)
    found = read_canonical(data) if data is not None else None
    if data is not None and found is not None:
        strict = parse(data, file="x").value
        assert (found, repr(found)) == (strict, repr(strict))


@given(DOCUMENTS, st.data())
def test_what_a_byte_more_or_less_makes_of_it_is_never_read_wrongly(
    value: dict[str, Any], data: st.DataObject
) -> None:
    """Changed bytes are read as the strict reader reads them, or left to it."""
    whole = written(value) or b"a: b\n"
    place = data.draw(st.integers(0, len(whole)))
    put = data.draw(
        st.sampled_from([b"", b" ", b"\n", b'"', b"-", b"#", b"\t", b"1", b"&", b"\xff"])
    )
    taken = data.draw(st.integers(0, 3))
    changed = whole[:place] + put + whole[place + taken :]
    found = read_canonical(changed)
    if found is not None:
        strict = parse(changed, file="x").value
        assert (found, repr(found)) == (strict, repr(strict))


def test_records_are_read_fast() -> None:
    """A record as the runner writes it needs no strict reading."""
    assert read_canonical(dump(RECORD)) == RECORD


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\n", b"a", b"a: 1", b"- a\n", b"[]\n", b"{}\n", b"null\n", b"a:\n", b"a: \n"),
        *(b"a: 1\na: 2\n", b"a: 'x'\n", b'a: "x"\n', b"a: yes\n", b"a: 01\n", b"a: -0\n"),
        *(
            b"a:  1\n",
            b"a: 1 # x\n",
            b"---\na: 1\n",
            b"a: &x 1\n",
            b"a: |\n  x\n\n",
            b"a: >\n  x\n",
        ),
        *(
            b"a: 9007199254740992\n",
            b"a: \xff\n",
            b"a: \xe2\x80\xae\n",
            b"a:\n - b\n",
            b"a: |+\n x\n",
        ),
        b"a: " + b"x" * 250_000 + b"\n",
        b"a:\n" + b"".join(b"  " * n + b"a:\n" for n in range(1, 60)) + b"  " * 60 + b"a: 1\n",
    ],
)
def test_anything_else_is_left_to_the_strict_reader(data: bytes) -> None:
    """What `dump` does not write, a value that is no mapping, and what is very long or deep."""
    assert read_canonical(data) is None


def stored(data: bytes) -> Any:
    return validation.read_stored(
        data, validation.RECORD, file="x.yaml", schema=schemas.load("record")
    )


def test_a_stored_record_is_typed_as_any_other() -> None:
    """Written by the runner or by hand, a record is the same value."""
    by_hand = dump(RECORD) + b"# by hand\n"
    _, expected = validation.read_record(by_hand, file="x.yaml", schema=schemas.load("record"))
    assert stored(dump(RECORD)) == stored(by_hand) == expected


@pytest.mark.parametrize(
    "change", [{"version": True}, {"version": 2}, {"status": "done"}, {"attempt": 0}, {"step": 1}]
)
def test_a_stored_record_that_is_not_valid_is_told_in_full(change: dict[str, Any]) -> None:
    """Each problem has its line, as the strict reader tells it."""
    data = dump({**RECORD, **change})
    with pytest.raises(InvalidDocument) as caught:
        stored(data)
    with pytest.raises(InvalidDocument) as strict:
        validation.read_record(data, file="x.yaml", schema=schemas.load("record"))
    assert caught.value.problems == strict.value.problems
    assert all(each.line for each in caught.value.problems)
