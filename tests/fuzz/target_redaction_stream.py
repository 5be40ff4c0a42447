"""Taking secrets out of a stream of bytes, however it is cut."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Protocol

from runner.core.redaction_stream import Redactor
from tests.fuzz import secret_forms
from tests.fuzz.secret_cases import Case, is_far_from
from tests.fuzz.target_redaction import TOKENS as TEXT_TOKENS

MAX_LENGTH = 300
TOKENS = (
    *TEXT_TOKENS,
    b"\x04",
    b"\x01\x04p",
    b"\x01D",
    b"\r\n",
    b"\xff",
    b"\x02L",
    b"\\n  ",
    40 * b" ",
)


class Stream(Protocol):
    def feed(self, chunk: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


def check(data: bytes, *, redactor: Callable[[Iterable[str]], Stream] = Redactor) -> None:
    """Cuts change nothing, no form of a value stays, and other text stays as it is."""
    case = Case.read(data)
    chunks = [piece.encode("utf-8", "surrogateescape") for piece in case.pieces]
    whole = _through(redactor(case.values), [b"".join(chunks)])
    assert _through(redactor(case.values), chunks) == whole, "cut"
    _no_form_stays(case.values, whole)
    assert _through(redactor(case.values), [whole]) == whole, "twice"
    if is_far_from(case.text, case.values):
        assert _through(redactor(()), chunks) == whole, "harmless text changes"


def _through(stream: Stream, chunks: Iterable[bytes]) -> bytes:
    return b"".join([*map(stream.feed, chunks), stream.finish()])


def _no_form_stays(values: Iterable[str], output: bytes) -> None:
    """Encodings are looked for without what programs break them by, too.

    What stands beyond a wide gap is no encoder's next line.
    """
    text = output.decode("utf-8", "surrogateescape")
    blanked = re.sub(r"[\r\n\t:\\]", " ", re.sub(r"\\[rn]", "  ", text))
    joined = re.sub(" ", "", re.sub(" {41,}", "\0", blanked))
    for value in values:
        assert not any(form in text for form in secret_forms.streamed_forms(value)), "stays"
        assert not any(form in joined for form in secret_forms.encodings(value.encode())), "wrapped"
