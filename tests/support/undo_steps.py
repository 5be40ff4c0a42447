"""Steps with undo commands."""

from __future__ import annotations

import json

from team import command


def undone(text: str, undo: str, *, name: str, more: str = "", given: str = "") -> str:
    """A command with its undo command; `more` are further fields of its input, `given` of the undo."""
    return f"{command(text, name=name, more=more)}  undo: {{command: {json.dumps(undo)}{given}}}\n"
