"""Git may pack, prune, clone, fetch and push all the time while a run is recorded."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from recorded import BRANCH, LEASE, check, git, make_repository, recording, values

from runner.git import recorder
from runner.git.objects import ObjectStore

WORK = {
    "gc": "git gc -q --prune=now",
    "repack": "git repack -q -a -d",
    "pack-refs": "git pack-refs --all; git update-ref refs/heads/x main; git update-ref -d refs/heads/x",
    "clone": 'rm -rf "$1" && git clone -q --bare --no-local . "$1" && git -C "$1" fsck --strict --no-dangling',
    "fetch": 'git init -q --bare "$1"; git -C "$1" fetch -q "$PWD" "+refs/*:refs/all/*"',
    "push": 'git init -q --bare "$1"; git push -q "$1" refs/heads/planlock/job/1',
}
LOOP = "while :; do {} || exit 3; echo; done"
LEAST, TIMES = 60, 8


@pytest.mark.parametrize("what", WORK)
def test_git_works_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Neither disturbs the other: every commit succeeds, git does not fail, all is there."""
    monkeypatch.setattr(recorder, "MOST_PACKS", 7)
    monkeypatch.setattr(recorder, "MOST_SETTLED", 3)
    folder = make_repository(tmp_path / "it")
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(tmp_path)}
    argv = ["sh", "-c", LOOP.format(WORK[what]), "sh", str(tmp_path / "there")]
    with recording(folder) as run:
        run.step()
        with subprocess.Popen(
            argv,
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as beside:
            assert beside.stdout is not None
            os.set_blocking(beside.stdout.fileno(), False)
            rounds = 0
            while rounds < TIMES or run.count < LEAST:
                run.step()
                rounds += len(beside.stdout.read() or b"")
                assert beside.poll() is None, beside.communicate()[1].decode()
            os.killpg(beside.pid, signal.SIGKILL)
        for lock in [*(folder / ".git").rglob("*.lock"), folder / ".git/gc.pid"]:
            lock.unlink(missing_ok=True)  # of the git that was killed
        run.recorder.close()
        last = run.values
    git(folder, "gc", "-q", "--prune=now")
    assert values(folder) == last
    check(folder)
    assert git(folder, "rev-list", "--count", BRANCH) == str(run.count)
    with ObjectStore(folder / ".git", folder / ".git/objects") as store:
        tree = store.commit(last[BRANCH]).tree
        assert sum(1 for _ in store.walk(tree)) == run.count + 1
        assert store.commit(last[LEASE]).parents
