"""Take known secrets out of a stream of bytes, the same however the stream is cut."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from runner.core.redaction_forms import forms

MARK = b"[redacted: secret]"
_LINE_ENDS = re.compile(rb"[\r\n]+")
# Encoders wrap lines by one line end; what lies beyond an empty line belongs to something else.
_GAP = 3
_GAPS = re.compile(rb"[\r\n]{3,}")
_BARRIER = b"\0"


class Known:
    """Keeps back only what may still become a form of a secret; `found` tells whether one came.

    Occurrences that overlap are taken out as one, so that no part of either is left.
    """

    def __init__(self, values: Iterable[str]) -> None:
        known = forms(values)
        self._exact, self._wrapped = known.exact, known.wrapped
        self._held = b""
        self._covered = 0
        self.found = False

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
        """Where the longest end of the text begins with which a form begins."""
        exact = max(_overlap(text, form) for form in self._exact)
        wrapped = max(_overlap(flat, form) for form in self._wrapped)
        return len(text) - max(exact, _unflattened(text, wrapped))


def _flattened(text: bytes) -> bytes:
    """The text without line ends; where there are several at once, with a barrier."""
    return _GAPS.sub(_BARRIER, text).translate(None, b"\r\n")


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
    """How much of the text's end the last bytes of the flattened text take, line ends included."""
    window = text[-_GAP * (length + 1) :]
    return len(window) - _Original(window).place(len(_flattened(window)) - length) if length else 0


class _Original:
    """Leads from places in the flattened text to places in the text itself."""

    def __init__(self, text: bytes) -> None:
        self._flat, self._left_out = [0], [0]
        left_out = 0
        for ends in _LINE_ENDS.finditer(text):
            length = ends.end() - ends.start()
            kept = length >= _GAP
            self._flat.append(ends.start() - left_out + kept)
            left_out += length - kept
            self._left_out.append(left_out)

    def place(self, flat: int) -> int:
        return flat + self._left_out[bisect_right(self._flat, flat) - 1]
