"""Changes that the times of files do not tell, that cost a command nothing, or that lie in wait."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from forging import codes
from team import Team, command

from runner.git import changed
from runner.git.objects import ObjectStore
from runner.git.worktree import WorkTree

SHARED_MEMORY = Path("/dev/shm")
MAPPED = """
import mmap
with open("utils.py", "r+b") as file:
    view = mmap.mmap(file.fileno(), 0)
    view[0]
    view[0:4] = b"EVIL"
    view.flush()
"""
PLANT = """
import py_compile, sys
open("/tmp/tool.py", "w").write("print('planted')")
name = "__pycache__/tool.cpython-%d%d.pyc" % sys.version_info[:2]
py_compile.compile("/tmp/tool.py", name, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no tmpfs to write to")
def test_A33_a_file_mapped_into_memory_on_tmpfs(team: Team) -> None:
    """It is found although none of its times has changed."""
    team.commit({"later": "x\n"}, "Later")
    with (
        tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as folder,
        ObjectStore(team.root / ".git", team.root / ".git/objects") as store,
    ):
        tree, commit = WorkTree(Path(folder) / "work", store), team.git("rev-parse", "HEAD")
        tree.fill(store.commit(commit).tree, commit)
        tree.place_all()
        time.sleep(2 * changed.TICK_NS / 1e9)
        tree.write("later", tree.known["later"].entry)
        stamp = changed.Stamp.of(tree.root / "utils.py")
        subprocess.run([sys.executable, "-c", MAPPED], cwd=tree.root, check=True)
        assert changed.Stamp.of(tree.root / "utils.py") == stamp
        assert [each.path for each in tree.changes([])] == ["utils.py"]


def test_A33_only_known_file_systems_are_believed(tmp_path: Path) -> None:
    """Where the mounts cannot be read, or say something else, every file is compared."""
    device = tmp_path.stat().st_dev
    number = f"{device >> 8 & 0xFFF}:{device & 0xFF}"
    mounts = tmp_path / "mountinfo"
    assert not changed.stamps_tell(tmp_path, mounts)
    for kind, believed in (("ext4", True), ("tmpfs", False), ("overlay", False)):
        mounts.write_text(f"1 0 {number} / / rw - {kind} device rw\n")
        assert changed.stamps_tell(tmp_path, mounts) is believed


@pytest.mark.usefixtures("confined")
class TestCommands:
    def test_D08_sparse_files_are_not_read(self, team: Team) -> None:
        """Files of a gigabyte that nothing lists are refused by their size."""
        team.propose("job", command("for n in 1 2 3; do truncate -s 900M big$n; done"))
        team.approve("bob", "job")
        done = team.cli("ada", "run", "job", "--json")
        assert (done.code, codes(done)) == (5, ["workspace_too_large"]), done.text

    def test_P2_planted_bytecode_does_not_run(self, team: Team) -> None:
        """Compiled Python that an earlier command left in an ignored folder is gone."""
        team.commit({".gitignore": "__pycache__/\n", "tool.py": "print('reviewed')\n"}, "Tool")
        plant = command(f"python3 -c {shlex.quote(PLANT)}", name="plant")
        tried = command("python3 -c 'import tool'", name="use")
        team.propose("job", plant + tried)
        team.approve("bob", "job")
        done = team.cli("ada", "run", "job")
        assert done.code == 0, done.text
        assert "| reviewed" in done.err
        assert "| planted" not in done.err

    def test_D02_scratch_names_cannot_be_taken(self, team: Team) -> None:
        """A command that guesses names of temporary files ends its step at most, not the run."""
        script = "ln utils.py kept; for n in $(seq 1 40000); do echo .planlock-$n.tmp; done"
        team.commit({".gitignore": "kept\n.planlock-*\n"}, "Ignore")
        team.propose("job", command(f"{script} | xargs touch"))
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job").code == 0
