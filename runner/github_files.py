"""The workflows and actions that ship with the package; in a checkout they are its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

# What of `.github` is carried over into other repositories.
SHIPPED = ("actions/planlock", "workflows/planlock-*.yml", "ISSUE_TEMPLATE/planlock.yml")


@cache
def files() -> Mapping[str, tuple[bytes, bool]]:
    """Content by path from the top of a repository, and whether it is a program."""
    folder = _folder()
    found: dict[str, tuple[bytes, bool]] = {}
    for pattern in SHIPPED:
        for path in sorted(_below(folder, pattern)):
            name = f".github/{path.relative_to(folder).as_posix()}"
            found[name] = path.read_bytes(), path.suffix == ".sh"
    return found


def _below(folder: Path, pattern: str) -> list[Path]:
    found = folder.glob(f"{pattern}/**/*" if "." not in pattern else pattern)
    return [path for path in found if path.is_file()]


def _folder() -> Path:
    shipped = Path(__file__).with_name("github_shipped")
    return shipped if shipped.is_dir() else Path(__file__).parents[1] / ".github"
