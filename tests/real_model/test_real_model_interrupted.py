"""A trial that is interrupted leaves whole results and no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from provider_server import Silence, serving
from provider_server_openai import NoticingOpenAi

from tests.docs.markdown import ROOT
from tests.real_model.trials import INTERRUPTED


def working_in(folder: Path) -> list[str]:
    """The processes of this machine whose folder is there, or was until it was removed."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            found.append(str(link.readlink()))
    return [each for each in found if each.startswith(str(folder))]


def test_an_interrupted_trial_can_go_on(tmp_path: Path) -> None:
    """Ctrl-C while the model thinks: exit 130, no half result, and the command is gone."""
    out, api = tmp_path / "results.jsonl", NoticingOpenAi()
    argv = [sys.executable, "-m", "tests.real_model.trials", "--only", "1", "--out", str(out)]
    with serving(api) as server:
        server.give(Silence())
        with subprocess.Popen(
            argv,
            cwd=ROOT,
            env={**os.environ, "PLANLOCK_MODEL_URL": server.url, "TMPDIR": str(tmp_path)},
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            assert api.asked.wait(30)
            process.send_signal(signal.SIGINT)
            said = process.communicate()[1].decode()
    assert process.returncode == INTERRUPTED, said
    assert "the same command goes on with the next goal" in said
    assert not out.exists()
    assert working_in(tmp_path) == []
