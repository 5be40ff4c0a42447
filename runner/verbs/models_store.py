"""`models export` and `models import`: stored answers, carried to another machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner.models import store_archive
from runner.models.store import Store
from runner.models.store_archive import Imported
from runner.project import Project
from runner.verbs.models_sources import told


@dataclass(frozen=True, kw_only=True)
class Exported:
    file: str
    answers: int


def export(project: Project, file: Path) -> Exported:
    """Write all answers to a new file; raises FileAccessError or InvalidDocument."""
    target = project.world.folder / file
    return Exported(file=str(file), answers=store_archive.export(_store(project), target))


def import_(project: Project, file: Path, *, replace: bool) -> Imported:
    """Take answers in; raises InvalidDocument, Refused or FileAccessError."""
    return store_archive.import_(_store(project), project.world.folder / file, replace=replace)


def _store(project: Project) -> Store:
    return Store(told(project).store)
