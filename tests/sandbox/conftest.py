from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox_run import Run, bound, require_bwrap, require_landlock
from workspace_cases import WAYS, Way, make_outside, make_root

import runner
from runner.sandbox.commands import Backend, Room, find_backend
from runner.sandbox.files import Workspace


@pytest.fixture(params=["confined", "landlock", "none"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each that ships."""
    match request.param:
        case "confined":
            return require_bwrap()
        case "landlock":
            return require_landlock()
    return find_backend("none")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder as a run would have it."""
    folder = tmp_path / "work"
    (folder / ".git" / "hooks").mkdir(parents=True)
    (folder / ".git" / "config").write_text("[core]\n")
    (folder / "plans").mkdir()
    (folder / "plans" / "policy.yaml").write_text("version: 1\n")
    (folder / "utils.py").write_text("ONE = 1\n")
    return folder


@pytest.fixture
def room(workspace: Path) -> Room:
    """The room's tools make `python` and this package available inside."""
    packages = Path(runner.__file__).parent.parent
    return Room(workspace=workspace, mount_at=workspace, tools=(packages, Path(sys.prefix)))


@pytest.fixture
def run(confined: Backend, room: Room) -> Run:
    return bound(confined, room)


@pytest.fixture
def run_any(backend: Backend, room: Room) -> Run:
    return bound(backend, room)


@pytest.fixture
def marker(tmp_path: Path) -> str:
    """An argument for sleep that no other test uses, and longer than any test."""
    return str(7_000_000 + int(hashlib.sha256(str(tmp_path).encode()).hexdigest()[:6], 16))


@pytest.fixture
def landlock() -> Backend:
    return require_landlock()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return make_outside(tmp_path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.fixture
def files(root: Path, way: Way) -> Iterator[Workspace]:
    with Workspace(root, **way) as workspace:
        yield workspace


@pytest.fixture
def open_run(room: Room) -> Run:
    """Without confinement, to see that an attack is one."""
    return bound(find_backend("none"), room)
