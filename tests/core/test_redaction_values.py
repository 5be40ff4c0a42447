from __future__ import annotations

import base64
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from runner.core.redaction import redact, redact_values
from runner.core.redaction_known import Known

SECRETS = ("hunter2-hunter2", "p&ss w/rd\\\"'", "two lines\nof-a-secret")
FORMS = st.sampled_from(
    [
        *SECRETS,
        *(base64.b64encode(each.encode()).decode() for each in SECRETS),
        *(each.encode().hex() for each in SECRETS),
        *("hunter2-", "hunter2", "\\", "\\n", " " * 41, "\ud800"),
    ]
)
TEXTS = st.lists(st.one_of(FORMS, st.text(max_size=5)), max_size=4).map("".join)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(TEXTS, st.integers(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


def each_by_itself(value: Any) -> Any:
    """Take the secrets out of each text as if it were a whole stream."""
    if isinstance(value, str):
        known = Known(SECRETS)
        data = value.encode("utf-8", "surrogatepass")
        if known.feed(data) + known.finish() == data:
            return value
        return redact_values([value], SECRETS)[0]
    if isinstance(value, dict):
        return {each_by_itself(key): each_by_itself(item) for key, item in value.items()}
    return [each_by_itself(item) for item in value] if isinstance(value, list) else value


@given(VALUES)
@example(["hunter2", "-hunter2"])
@example({"hunter2-": "hunter2"})
@example(["6875", "6e746572322d68756e74657232"])
def test_all_texts_together_are_judged_as_each_by_itself(value: Any) -> None:
    """Looking into all texts of a document at once finds no more and no less."""
    assert redact_values(value, SECRETS) == each_by_itself(value)


def test_texts_that_hold_no_secret_stay_equal() -> None:
    """Where nothing is found lists, keys and what is no text come back as they were."""
    value = {"a": ["b", ("c", 1)], "d": {"e": None, "f": True}, 3: "g"}
    assert redact_values(value, SECRETS) == {**value, "a": ["b", ["c", 1]]}
    assert redact_values(value, ()) == redact_values(value, SECRETS)


def test_one_text_with_a_secret_is_enough() -> None:
    """It is taken out wherever it stands, in keys too."""
    value = {"a": [1, {"b": f"x{SECRETS[0]}y"}], SECRETS[0]: "c"}
    found = redact_values(value, SECRETS)
    assert SECRETS[0] not in repr(found)
    assert found["a"][1]["b"] == redact(f"x{SECRETS[0]}y", SECRETS).text
