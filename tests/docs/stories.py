"""How each executed page begins, and playing it from there."""

from __future__ import annotations

from pathlib import Path

from tests.docs.markdown import ROOT
from tests.docs.transcripts import Played, Story, play

EXECUTED = (
    "README.md",
    "docs/tutorial-team.md",
    "docs/tutorial-solo.md",
    "docs/audit.md",
    "docs/planning.md",
    "docs/sandbox.md",
    "docs/runs.md",
)
GOVERNED = ("README.md", "docs/audit.md", "docs/planning.md", "docs/sandbox.md", "docs/runs.md")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def played(name: str, folder: Path) -> list[Played]:
    """Play a page with real commands in a folder that is its machine."""
    return list(play(opened(name, folder), read(name)))


def opened(name: str, folder: Path) -> Story:
    """What a page takes for granted; the tutorials begin with nothing."""
    story = Story(folder.resolve())
    if name in GOVERNED:
        _govern(story)
    if name in {"docs/audit.md", "docs/runs.md"}:
        list(play(story, read("README.md")))
    return story


def _govern(story: Story) -> None:
    """A repository of ada and bob with a check of a module that does not exist yet."""
    for who in ("ada", "bob"):
        story.run(who, "planlock key new")
    for command in ("git init -q calc", "cd calc"):
        story.run("ada", command)
    check = "import calc\n\nassert calc.factorial(5) == 120\nprint('calc.factorial(5) is 120')\n"
    story.write("ada", "test_calc.py", check)
    key = "/home/bob/.ssh/id_ed25519.pub"
    for command in (
        "git add . && git commit -q -m Start && planlock init",
        f"planlock people add bob@example.com --key {key} --role maintainer",
        "git add . && git commit -q -m Govern",
    ):
        story.run("ada", command)
    story.places["bob"] = story.place("ada")
