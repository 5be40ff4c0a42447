"""The text of an answer as it comes in pieces: thoughts left out, split characters joined."""

from __future__ import annotations

from typing import Final, Literal

from runner.models.contract import OnText

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


class Spoken:
    """What a model says; `on_text` hears each piece once it is sure to be text.

    `any` tells whether there was anything, thoughts included.

    Thoughts are told by their tag at the very beginning only: later it may be what a model was
    asked to write.
    """

    def __init__(self, on_text: OnText | None = None) -> None:
        self._on_text = on_text
        self._parts: list[str] = []
        self._held = ""
        self.any = False
        self._state: Literal["begun", "thinking", "thought", "speaking"] = "begun"

    def add(self, piece: str) -> None:
        self._held += piece
        self.any |= bool(piece)
        while self._advance():
            pass
        if self._state == "speaking":
            whole = self._held[:-1] if _half(self._held) else self._held
            self._held = self._held[len(whole) :]
            self._say(whole)

    def end(self) -> str:
        """Say what was held back and return the whole text."""
        if self._state == "begun":
            self._state = "speaking"
        if self._state == "speaking":
            self._say(self._held)
        self._held = ""
        return "".join(self._parts)

    def _advance(self) -> bool:
        """Move to the next state if the held text decides so."""
        before = self._state
        if self._state == "begun":
            self._begin(self._held.lstrip())
        elif self._state == "thinking":
            _, found, rest = self._held.partition(_CLOSE)
            self._state = "thought" if found else "thinking"
            self._held = rest if found else self._held[-len(_CLOSE) + 1 :]
        elif self._state == "thought":
            self._held = self._held.lstrip()
            self._state = "speaking" if self._held else "thought"
        return self._state != before

    def _begin(self, text: str) -> None:
        if text.startswith(_OPEN):
            self._state, self._held = "thinking", text.removeprefix(_OPEN)
        elif not _OPEN.startswith(text):
            self._state = "speaking"

    def _say(self, text: str) -> None:
        if not text:
            return
        sound = mended(text)
        self._parts.append(sound)
        if self._on_text:
            self._on_text(sound)


def mended(text: str) -> str:
    """Join surrogates to characters; what is left of them alone becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _half(text: str) -> bool:
    """Tell whether the text ends within a character: JSON may escape it as two halves."""
    return "\ud800" <= text[-1:] <= "\udbff"
