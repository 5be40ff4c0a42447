"""One target under libFuzzer: `python -m tests.fuzz.coverage_guided TARGET FOLDER [OPTION…]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import atheris

from tests.fuzz.targets import SUBJECTS, Target, load

_BOUNDS = ("-timeout=10", "-rss_limit_mb=1024")


def main(name: str, folder: Path, options: Sequence[str]) -> None:
    """Count the branches of what the target covers, and no others; ends the process."""
    with atheris.instrument_imports(include=[*SUBJECTS[name].modules]):
        target = load(name)
    atheris.Setup([sys.argv[0], *_options(target, folder), *options], target.check)
    atheris.Fuzz()


def _options(target: Target, folder: Path) -> list[str]:
    """New inputs go into the folder, so that the stored corpus stays as it is."""
    found = folder / "found"
    found.mkdir()
    dictionary = folder / "dictionary"
    dictionary.write_text("".join(f'"{_escaped(each)}"\n' for each in target.tokens))
    inputs = [str(found), str(target.corpus)]
    broken = f"-artifact_prefix={folder}/broken-"
    return [*_BOUNDS, broken, f"-dict={dictionary}", f"-max_len={target.max_length}", *inputs]


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
