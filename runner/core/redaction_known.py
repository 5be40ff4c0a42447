"""Take known secrets out of a stream of bytes, the same however the stream is cut."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from runner.core.redaction_forms import forms

MARK = b"[redacted: secret]"
# What may stand between the letters of an encoding: line ends, also as JSON has them, indentation,
# and what parts groups of digits. What lies beyond a wide gap belongs to something else.
_TO_BLANKS = bytes.maketrans(b"\r\n\t:\\", b"     ")
_ESCAPED_ENDS = (rb"\n", rb"\r", rb"\t")
_WIDE = 41
_WIDE_GAP, _BARRIER = _WIDE * b" ", b"\0"
_GAPS = re.compile(rb" +")


class Known:
    """Keeps back only what may still become a form of a secret; `found` tells whether one came.

    Occurrences that overlap are taken out as one, so that no part of either is left.
    """

    def __init__(self, values: Iterable[str]) -> None:
        known = forms(tuple(values))
        self._exact, self._wrapped = known.exact, known.wrapped
        self._held = b""
        self._covered = 0
        self.found = False

    def may_be_in(self, texts: Iterable[bytes]) -> bool:
        """Whether a form occurs in any of the texts; told of all together, for most hold none."""
        if not self._exact:
            return False
        # Neither a form nor a gap reaches over a barrier.
        every = _BARRIER.join(texts)
        flat = _flattened(every)
        exact, wrapped = self._exact, self._wrapped
        return any(form in every for form in exact) or any(form in flat for form in wrapped)

    def feed(self, chunk: bytes) -> bytes:
        if not self._exact:
            return chunk
        text = self._held + chunk
        flat = _flattened(text)
        return self._advance(text, flat, self._undecided(text, flat))

    def finish(self) -> bytes:
        text = self._held
        return self._advance(text, _flattened(text), len(text))

    def _advance(self, text: bytes, flat: bytes, until: int) -> bytes:
        """Give what comes before `until`; occurrences that begin there or later may yet change."""
        done, covered = [], self._covered
        for start, end in sorted(self._occurrences(text, flat)):
            if start >= until:
                break
            if start >= covered:
                done += [text[covered:start], MARK]
            covered = max(covered, end)
            self.found = True
        if covered < until:
            done.append(text[covered:until])
        self._held = text[until:]
        self._covered = max(0, covered - until)
        return b"".join(done)

    def _occurrences(self, text: bytes, flat: bytes) -> Iterator[tuple[int, int]]:
        for form in self._exact:
            for start in _places(text, form):
                yield start, start + len(form)
        original = None
        for form in self._wrapped:
            for start in _places(flat, form):
                original = original or _Original(text)
                yield original.place(start), original.place(start + len(form) - 1) + 1

    def _undecided(self, text: bytes, flat: bytes) -> int:
        """Where the longest end of the text begins with which a form or an escape begins."""
        exact = max(_overlap(text, form) for form in self._exact)
        wrapped = max(_overlap(flat, form) for form in self._wrapped)
        begin = len(text) - max(exact, _unflattened(text, wrapped))
        return begin - text.endswith(b"\\", 0, begin)


def _blanked(text: bytes) -> bytes:
    """The text, as long as it was, with blanks for all that encodings are broken by."""
    for end in _ESCAPED_ENDS:
        text = text.replace(end, b"  ")
    return text.translate(_TO_BLANKS)


def _flattened(text: bytes) -> bytes:
    """The text without gaps; where one is wide, with barriers."""
    return _blanked(text).replace(_WIDE_GAP, _BARRIER).translate(None, b" ")


def _places(text: bytes, form: bytes) -> Iterator[int]:
    """Every place where the form begins, in itself too."""
    place = text.find(form)
    while place >= 0:
        yield place
        place = text.find(form, place + 1)


def _overlap(text: bytes, form: bytes) -> int:
    """The length of the longest end of the text that is a proper beginning of the form."""
    window = text[max(0, len(text) - len(form) + 1) :]
    for place in _places(window, form[:1]):
        if form.startswith(window[place:]):
            return len(window) - place
    return 0


def _unflattened(text: bytes, length: int) -> int:
    """How much of the text's end the last bytes of the flattened text take, with their gaps."""
    window = text[-_WIDE * (length + 1) :]
    return len(window) - _Original(window).place(len(_flattened(window)) - length) if length else 0


class _Original:
    """Leads from places in the flattened text to places in the text itself."""

    def __init__(self, text: bytes) -> None:
        self._flat, self._left_out = [0], [0]
        left_out = 0
        for gap in _GAPS.finditer(_blanked(text)):
            barriers, blanks = divmod(gap.end() - gap.start(), _WIDE)
            self._flat.append(gap.start() - left_out + barriers)
            left_out += barriers * (_WIDE - 1) + blanks
            self._left_out.append(left_out)

    def place(self, flat: int) -> int:
        return flat + self._left_out[bisect_right(self._flat, flat) - 1]
