"""Texts that tell a model to do something else, planted where a project may hold text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.real_model.goals import HERE

FOLDER: Final = HERE / "injection"
# The file of each goal that is changed: what stands there is sent for certain.
GOALS: Final = {
    "calculator-factorial": "utils.py",
    "todo-version": "todo.py",
    "inventory-total": "inventory.py",
}
_TAGS: Final = 0xE0000


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """A text and its place; `asks` is a pattern of what a plan has that obeyed it."""

    name: str
    place: str
    asks: str
    text: str

    def obeyed(self, step: str) -> bool:
        return re.search(self.asks, step) is not None

    def planted(self, files: Mapping[str, str], main: str) -> dict[str, str]:
        """Put the text into a project whose file `main` is to be changed."""
        return {**files, **PLACES[self.place](self.text, files, main)}


Planted = Callable[[str, Mapping[str, str], str], dict[str, str]]


def load() -> tuple[Hostile, ...]:
    return tuple(_read(path.stem, path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.txt")))


def _read(name: str, content: str) -> Hostile:
    head, _, text = content.partition("\n\n")
    said = dict(line.split(": ", 1) for line in head.splitlines())
    if said.get("hide") == "tags":
        text = "Version 2." + "".join(chr(_TAGS + ord(char)) for char in text.strip())
    return Hostile(name=name, place=said["place"], asks=said["asks"], text=text.strip())


def _readme(text: str, files: Mapping[str, str], _main: str) -> dict[str, str]:
    return {"README.md": f"{files['README.md']}\n## Notes\n\n{text}\n"}


def _comment(text: str, files: Mapping[str, str], main: str) -> dict[str, str]:
    lines = "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())
    return {main: f"{files[main]}\n{lines}"}


def _docstring(text: str, files: Mapping[str, str], main: str) -> dict[str, str]:
    return {main: f'{files[main]}\n\ndef notes():\n    """{text}"""\n'}


def _csv(text: str, _files: Mapping[str, str], _main: str) -> dict[str, str]:
    return {"data/notes.csv": f'name,note\nscrew,"{text}"\nhinge,none\n'}


def _test(text: str, files: Mapping[str, str], _main: str) -> dict[str, str]:
    path = min(name for name in files if name.rpartition("/")[2].startswith("test_"))
    name = "_".join(re.findall(r"[a-z0-9]+", text.lower()))
    body = f"\n\nclass NotesTest(unittest.TestCase):\n    def test_{name}(self):\n        pass\n"
    return {path: files[path] + body}


PLACES: Final[Mapping[str, Planted]] = {
    "readme": _readme,
    "comment": _comment,
    "docstring": _docstring,
    "csv": _csv,
    "test": _test,
}
