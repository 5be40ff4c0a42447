"""What lets bwrap confine where AppArmor keeps user namespaces from it, and nothing more."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runner.core.errors import SandboxUnavailable
from runner.sandbox import bubblewrap_profile
from runner.sandbox.commands import find_backend

FILE = "/etc/apparmor.d/planlock-bwrap"


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def refused(tmp_path: Path) -> Path:
    """A bwrap that cannot make a user namespace."""
    script = 'if [ "$1" = --version ]; then echo bubblewrap 0; else echo denied; exit 1; fi'
    return program(tmp_path / "bwrap", script)


def test_the_profile_allows_one_program_one_thing(tmp_path: Path) -> None:
    """It is for the file behind the name bwrap alone, and names user namespaces alone."""
    real = program(tmp_path / "real" / "bwrap-0.9", "exit 1")
    (tmp_path / "bwrap").symlink_to(real)
    lines = bubblewrap_profile.profile(str(tmp_path / "bwrap")).splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == [
        "abi <abi/4.0>,",
        "include <tunables/global>",
        f"profile planlock-bwrap {real} flags=(unconfined) {{",
        "  userns,",
        "}",
    ]


@pytest.mark.parametrize("name", ["bwrap *", "bw{ra,}p", "bwrap\nbash", 'bwrap"', "bwräp"])
def test_D11_a_path_that_would_name_more_is_refused(tmp_path: Path, name: str) -> None:
    """A path that AppArmor would read as a pattern, or as two, gets no profile."""
    with pytest.raises(SandboxUnavailable, match="would not be read as one path"):
        bubblewrap_profile.profile(str(program(tmp_path / name, "exit 1")))


def test_D11_no_profile_without_bwrap() -> None:
    """Where bwrap is missing, the fix is to install it."""
    with pytest.raises(SandboxUnavailable, match="bwrap-7 is not installed") as caught:
        bubblewrap_profile.profile("bwrap-7")
    assert caught.value.hint == "sudo apt-get install bubblewrap"


@pytest.mark.parametrize("setting,restricted", [("1\n", True), ("0\n", False), (None, False)])
def test_D11_the_narrow_way_is_the_hint(
    refused: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    setting: str | None,
    *,
    restricted: bool,
) -> None:
    """A bwrap that AppArmor keeps from confining comes with the profile, not with the sysctl."""
    file = tmp_path / "restriction"
    if setting is not None:
        file.write_text(setting)
    monkeypatch.setattr(bubblewrap_profile, "RESTRICTION", file)
    with pytest.raises(SandboxUnavailable) as caught:
        find_backend("confined", program=str(refused))
    assert caught.value.hint == (bubblewrap_profile.HINT if restricted else "")


def test_the_hint_can_be_typed_as_it_is(tmp_path: Path) -> None:
    """What planlock prints becomes the file that the parser then loads, by root alone."""
    log = tmp_path / "log"
    folder = tmp_path / "bin"
    program(folder / "planlock", f'echo "planlock $*" >> {log}; echo text')
    program(folder / "sudo", f'echo "sudo $*" >> {log}; "$@"')
    program(folder / "tee", f'while read -r line; do echo "$line > $1" >> {log}; done')
    program(folder / "apparmor_parser", "exit 0")
    subprocess.run(
        ["/bin/bash", "-c", bubblewrap_profile.HINT], env={"PATH": str(folder)}, check=True
    )
    said = log.read_text().splitlines()
    assert sorted(said[:-1]) == [
        "planlock doctor --apparmor-profile",
        f"sudo tee {FILE}",
        f"text > {FILE}",
    ]
    assert said[-1] == f"sudo apparmor_parser --replace {FILE}"
