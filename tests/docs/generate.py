"""Writes the generated parts of the docs anew: `python -m tests.docs.generate`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from tests.docs import desk_pictures, picture, reference
from tests.docs.markdown import ROOT
from tests.docs.stories import EXECUTED, played, read
from tests.docs.transcripts import agrees, with_real_outputs


def main() -> None:
    for name in reference.sections():
        (ROOT / "docs" / name).write_text(reference.page(name), encoding="utf-8")
    for name in EXECUTED:
        with tempfile.TemporaryDirectory(prefix="planlock-docs-") as folder:
            page = with_real_outputs(read(name), played(name, Path(folder)))
        (ROOT / name).write_text(page, encoding="utf-8")
    if not picture.FILE.exists() or not agrees(picture.last_exchange(), picture.current()):
        picture.write()
    browsers = [path for name in desk_pictures.BROWSERS if (path := shutil.which(name))]
    if browsers:
        desk_pictures.write(browsers[0])


if __name__ == "__main__":
    main()
