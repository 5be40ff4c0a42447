"""The set-up for Ubuntu and hosted runners: it runs twice, says what it lacks, gains nothing more."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from runner.sandbox import bubblewrap_profile

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github/actions/planlock/sandbox"
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


@pytest.fixture
def restricted(programs: Path) -> Path:
    """Programs of an Ubuntu that keeps user namespaces from a bwrap; `lifted` says what was done."""
    lifted = programs / "lifted"
    fake(programs, "cat", f'[ "$1" = {RESTRICTION} ] && echo 1 || {shutil.which("cat")} "$@"')
    fake(programs, "bwrap", f"[ -e {lifted} ] && exit; echo setting up uid map: denied; exit 1")
    fake(programs, "setpriv", 'shift 3; "$@"')
    fake(programs, "tee", f'while read -r line; do echo "$1: $line" >> {lifted}.file; done')
    fake(programs, "sysctl", f'echo "$*" > {lifted}')
    return lifted


def test_D11_the_restriction_is_not_lifted_unasked(programs: Path, restricted: Path) -> None:
    """Where the profile does not help, all other programs stay restricted; both ways are told."""
    done = set_up(path=str(programs))
    assert done.returncode == 1
    assert not restricted.exists()
    assert not restricted.with_suffix(".file").exists()
    assert "bwrap still does not confine: setting up uid map: denied\n" in done.stderr
    assert bubblewrap_profile.HINT in done.stderr
    assert done.stderr.endswith("set-up.sh --lift-restriction\n")


def test_the_restriction_is_lifted_on_demand(programs: Path, restricted: Path) -> None:
    """Whoever asks for the wide way gets it, for good, and is told so."""
    done = set_up("--lift-restriction", path=str(programs))
    assert (done.returncode, done.stderr) == (0, "")
    file = "/etc/sysctl.d/60-planlock-userns.conf"
    assert f"allowing all programs to make user namespaces: {file}\n" in done.stdout
    assert restricted.read_text() == f"--quiet --load {file}\n"
    assert restricted.with_suffix(".file").read_text() == (
        f"{file}: kernel.apparmor_restrict_unprivileged_userns = 0\n"
    )


def test_set_up_and_planlock_write_one_profile(programs: Path) -> None:
    """The script prints byte for byte what `planlock doctor --apparmor-profile` prints."""
    fake(programs, "bwrap-0.9", "exit 1")
    (programs / "bwrap").symlink_to("bwrap-0.9")
    fake(programs, "readlink", f'exec {shutil.which("readlink")} "$@"')
    done = set_up("--print-profile", path=str(programs))
    assert (done.returncode, done.stderr) == (0, "")
    assert "/bwrap-0.9 flags=" in done.stdout
    assert done.stdout == bubblewrap_profile.profile(str(programs / "bwrap"))


def test_the_page_tells_the_same() -> None:
    """docs/sandbox.md has the command that a refusal names."""
    assert bubblewrap_profile.HINT in (ROOT / "docs/sandbox.md").read_text(encoding="utf-8")


def test_the_container_keeps_its_checkout(programs: Path) -> None:
    """Tests in a container run as its root on a copy, with no more rights than it needs."""
    fake(programs, "docker", 'printf "%s\n" "$@"')
    fake(programs, "dirname", f'exec {shutil.which("dirname")} "$@"')
    done = subprocess.run(
        ["/bin/bash", ROOT / ".ci/in-container", "debian:12"],
        capture_output=True,
        check=True,
        env={"PATH": str(programs)},
        text=True,
    )
    assert f"{ROOT}:/source:ro\n" in done.stdout
    assert "debian:12\nbash\n-c\n" in done.stdout
    assert done.stdout.rstrip().endswith("/checkout/.ci/run")
    assert not re.search("privileged|cap-add", done.stdout)


def test_the_workflow_may_only_read() -> None:
    """Actions are pinned to commits, the token can write nothing, and no expression meets a shell."""
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    action = (ACTION / "action.yml").read_text()
    used = re.findall(r"uses: (\S+)", workflow + action)
    assert used
    assert all(re.fullmatch(r"\./.*|[\w/-]+@[0-9a-f]{40}", each) for each in used)
    assert yaml.safe_load(workflow)["permissions"] == {"contents": "read"}
    assert not re.search(r"run:.*\$\{\{", workflow + action)
