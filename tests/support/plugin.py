"""Install a plugin of step types for one test: a module and its distribution's metadata."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

CODE = """
from pathlib import Path

from pydantic import BaseModel

from runner.core.errors import PlanlockError
from runner.steps.contract import Output, Preview, StepType

Path({marker!r}).write_text("imported")


class Greeting(BaseModel):
    name: str
    path: str = ""
    remove: bool = False
    rename: str = ""
    stubborn: bool = False


class Greet(StepType):
    name = "greet"
    model = Greeting
    idempotent = True

    def preview(self, given, read):
        return Preview(line=f"greet {{given.name}}")

    def execute(self, context, given):
        text = f"hello {{given.name}}"
        changes = ()
        try:
            if given.rename:
                changes = context.rename(given.path, given.rename, None)
            elif given.remove:
                changes = (context.remove(given.path, None),)
            elif given.path:
                changes = (context.replace(given.path, text.encode(), None, None),)
        except PlanlockError:
            if not given.stubborn:
                raise
            changes = (context.replace("fine", text.encode(), None, None),)
        digest = "sha256:" + "0" * 64
        return Output(text=text, digest=digest, length=len(text), changes=changes)
"""


@contextlib.contextmanager
def installed(folder: Path) -> Iterator[Path]:
    """Yield a file that exists once the plugin's code was imported."""
    marker = folder / "imported"
    (folder / "greet_steps.py").write_text(CODE.format(marker=str(marker)))
    info = folder / "greet_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greet-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[planlock.steps]\ngreet = greet_steps:Greet\n")
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield marker
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("greet_steps", None)
        importlib.invalidate_caches()
