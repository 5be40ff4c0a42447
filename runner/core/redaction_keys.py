"""Take private keys, which span lines, out of a stream of whole lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

KEY_MARK = "[redacted: private key]"
_LONGEST_BODY = 20_000
_LONGEST_END = 100
_LONGEST_DONE = 1 << 14
_BODY = r"[A-Za-z0-9+/=\s:,.()\\-]"
_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY = re.compile(
    _BEGIN.pattern
    + rf"(?:(?!-----END){_BODY}){{40,{_LONGEST_BODY}}}(?:-----END [A-Z0-9 ]{{0,60}}-----)?"
)
_STOP = re.compile(rf"-----END|(?!{_BODY}).", re.DOTALL)
_BACK = len("-----END") - 1


class Keys:
    """Holds what begins like a key until it ends, or turns out to be none."""

    def __init__(self) -> None:
        self._done = ""
        self._open = ""
        self.found = False

    def feed(self, piece: str) -> Iterator[str]:
        """Give what is sure of the text up to this piece's end."""
        seen = len(self._open)
        text = self._open + piece
        if seen and not _is_decided(text, 0, seen - _BACK):
            self._open = text
            return
        yield from self._work(text, last=False)

    def finish(self) -> Iterator[str]:
        yield from self._work(self._open, last=True)

    def _work(self, text: str, *, last: bool) -> Iterator[str]:
        self._open = ""
        place = 0
        while begin := _BEGIN.search(text, place):
            self._done += text[place : begin.start()]
            yield from self._sure_lines()
            if not last and not _is_decided(text, begin.start(), begin.end()):
                self._open = text[begin.start() :]
                return
            place = self._take(text, begin.start())
        rest, self._done = self._done + text[place:], ""
        if rest:
            yield rest

    def _take(self, text: str, start: int) -> int:
        key = _KEY.match(text, start)
        self.found = self.found or key is not None
        self._done += KEY_MARK if key else text[start]
        return key.end() if key else start + 1

    def _sure_lines(self) -> Iterator[str]:
        """A line goes on behind the key that it holds; a very long one is cut here."""
        end = self._done.rfind("\n") + 1
        end = len(self._done) if len(self._done) - end > _LONGEST_DONE else end
        if end:
            yield self._done[:end]
        self._done = self._done[end:]


def _is_decided(text: str, begin: int, seen: int) -> bool:
    """Whether no later text can make the key that begins here longer; `seen` holds no stop."""
    if len(text) - begin > _LONGEST_BODY + 2 * _LONGEST_END:
        return True
    after = _BEGIN.match(text, begin)
    return _STOP.search(text, max(seen, after.end() if after else begin)) is not None
