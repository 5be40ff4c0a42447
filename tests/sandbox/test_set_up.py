"""The set-up for Ubuntu and hosted runners: it runs twice, says what it lacks, gains nothing more."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github/actions/sandbox"
SCRIPT = ACTION / "set-up.sh"
RESTRICTION = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")


def set_up(*arguments: str, path: str = os.defpath) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", SCRIPT, *arguments],
        capture_output=True,
        check=False,
        env={"PATH": path},
        text=True,
        timeout=60,
    )


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH with what the script needs, but no bwrap, no apt-get and no sudo."""
    for name in ("uname", "cat"):
        fake(tmp_path, name, f'exec {shutil.which(name)} "$@"')
    fake(tmp_path, "id", "echo 0")
    return tmp_path


def fake(programs: Path, name: str, script: str) -> None:
    """Replaces the file itself: one that is a link would be written through."""
    made = programs / f".{name}"
    made.write_text(f"#!/bin/bash\n{script}\n")
    made.chmod(0o755)
    made.replace(programs / name)


@pytest.mark.usefixtures("confined")
def test_set_up_can_be_repeated() -> None:
    """Where bwrap confines, the set-up changes nothing, however often it runs."""
    for _ in range(2):
        done = set_up()
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "sandbox set-up: bwrap confines: nothing else to do\n"


def test_set_up_asks_for_root(programs: Path) -> None:
    """Without root and sudo it installs nothing, and says what to type."""
    fake(programs, "id", "echo 1000")
    fake(programs, "apt-get", "echo installed")
    done = set_up(path=str(programs))
    assert done.returncode == 1
    assert re.fullmatch(r"sandbox set-up: this needs root: sudo \S+/set-up.sh\n", done.stderr)
    assert "installed" not in done.stdout


def test_set_up_of_another_system(programs: Path) -> None:
    """Where packages come from elsewhere it says what is missing."""
    done = set_up(path=str(programs))
    assert done.returncode == 1
    assert "no Debian or Ubuntu: install bubblewrap" in done.stderr


def test_D11_set_up_that_does_not_help(programs: Path) -> None:
    """A bwrap that confines nothing for another reason than Ubuntu's is told, not worked around."""
    if RESTRICTION.exists() and RESTRICTION.read_text().strip() == "1":
        pytest.skip("the restriction is there, and would be lifted")
    fake(programs, "bwrap", "echo setting up uid map: denied; exit 1")
    done = set_up(path=str(programs))
    assert done.returncode == 1
    assert done.stderr == (
        "sandbox set-up: bwrap does not confine here: setting up uid map: denied\n"
    )


def test_the_profile_allows_one_program_one_thing() -> None:
    """The AppArmor profile is for bwrap alone, and names user namespaces alone."""
    lines = [line for line in set_up("--print-profile").stdout.splitlines() if line[:1] != "#"]
    assert [line for line in lines if line] == [
        "abi <abi/4.0>,",
        "include <tunables/global>",
        "profile planlock-bwrap /usr/bin/bwrap flags=(unconfined) {",
        "  userns,",
        "}",
    ]


def test_the_workflow_may_only_read() -> None:
    """Actions are pinned to commits, the token can write nothing, and no expression meets a shell."""
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    action = (ACTION / "action.yml").read_text()
    used = re.findall(r"uses: (\S+)", workflow + action)
    assert used
    assert all(re.fullmatch(r"\./.*|[\w/-]+@[0-9a-f]{40}", each) for each in used)
    assert yaml.safe_load(workflow)["permissions"] == {"contents": "read"}
    assert not re.search(r"run:.*\$\{\{", workflow + action)
