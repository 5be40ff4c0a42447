"""The limits that every backend holds, and how the outcome tells which one was hit."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from sandbox_run import Run, gone

from runner.core.errors import SandboxUnavailable
from runner.sandbox.commands import Command, Limits


def test_D08_endless_output(run_any: Run) -> None:
    """100 MB of output is cut to its ends, with its true length and digest."""
    limits = Limits(timeout_s=120, output_bytes=1000)
    outcome = run_any(Command(script="head -c 100000000 /dev/zero; echo end", limits=limits))
    assert outcome.exit_code == 0
    assert outcome.truncated
    assert outcome.output_length == 100_000_004
    assert len(outcome.output) <= 1000
    assert outcome.output.endswith(b"end\n")


def test_D08_memory_of_one_process(run_any: Run) -> None:
    """A process that allocates past the limit gets no memory."""
    limits = Limits(timeout_s=120, memory_bytes=200 << 20)
    outcome = run_any(Command(script="python -c 'bytearray(4 << 30)'", limits=limits))
    assert b"MemoryError" in outcome.output


def test_D08_memory_of_many_processes(run_any: Run) -> None:
    """Processes that stay below the limit each are ended when they pass it together."""
    script = "for i in 1 2 3 4; do python -c 'import time; b = b\"x\" * (100 << 20); time.sleep(20)' & done; wait"
    outcome = run_any(Command(script=script, limits=Limits(timeout_s=120, memory_bytes=250 << 20)))
    assert outcome.limit_hit == "memory"
    assert outcome.signal == signal.SIGKILL


def test_memory_shared_by_fork_counts_once(run_any: Run) -> None:
    """Children that share their parent's pages do not add up to a breach."""
    script = (
        "python -c 'import os, time\n"
        'b = b"x" * (100 << 20)\n'
        "for _ in range(5): os.fork() or (time.sleep(0.5), os._exit(0))\n"
        "for _ in range(5): os.wait()'"
    )
    outcome = run_any(Command(script=script, limits=Limits(timeout_s=120, memory_bytes=300 << 20)))
    assert outcome.exit_code == 0, outcome.output


def test_D08_many_processes(run_any: Run, marker: str) -> None:
    """More processes than allowed are ended or not started, by our count or by the kernel's."""
    script = f"for i in $(seq 200); do sleep {marker} & done; wait"
    outcome = run_any(Command(script=script, limits=Limits(timeout_s=120, processes=64)))
    assert outcome.limit_hit == "processes" or b"Resource temporarily unavailable" in outcome.output
    assert gone(marker)


def test_D08_large_file(run_any: Run, workspace: Path) -> None:
    """A file stops growing at the limit."""
    limits = Limits(timeout_s=120, file_bytes=1 << 20)
    outcome = run_any(Command(script="head -c 5000000 /dev/zero > big", limits=limits))
    assert (outcome.signal, outcome.limit_hit) == (signal.SIGXFSZ, "file_size")
    assert (workspace / "big").stat().st_size == 1 << 20


def test_limits_cannot_be_raised(run_any: Run) -> None:
    """Limits are hard: a command reads them and cannot lift its own."""
    limits = Limits(timeout_s=120, open_files=100, cpu_s=77)
    script = "ulimit -n; ulimit -t; ulimit -c; ulimit -d; ulimit -n 101; ulimit -Ht"
    outcome = run_any(Command(script=script, limits=limits))
    said = outcome.output.decode()
    assert said.split()[:4] == ["100", "77", "0", str(4 << 20)]
    assert "Operation not permitted" in said
    assert said.split()[-1] == "78"


def test_D08_variables_reach_no_program_before_the_limits(run_any: Run) -> None:
    """What the loader does by a command's variables, it does in the shell that is held already."""
    outcome = run_any(Command(script="ulimit -Hn", env={"LD_DEBUG": "files"}))
    lines = outcome.output.decode().splitlines()
    loaded = {line.split()[-1] for line in lines if "initialize program" in line}
    assert loaded == {"/usr/bin/bash"}
    assert lines.count("1024") == 1


def test_D08_processor_time(run_any: Run) -> None:
    """A process that only computes is ended when its processor time is used up, and that is told."""
    limits = Limits(timeout_s=120, cpu_s=1)
    outcome = run_any(Command(script="while :; do :; done", limits=limits))
    assert (outcome.limit_hit, outcome.signal) == ("cpu", signal.SIGXCPU)


def test_D08_output_without_end(run_any: Run, marker: str) -> None:
    """Who says far more than is kept is ended, and so is what it has started."""
    limits = Limits(timeout_s=120, output_bytes=1000, total_output_bytes=1 << 20)
    outcome = run_any(Command(script=f"sleep {marker} & yes", limits=limits))
    assert (outcome.limit_hit, outcome.signal) == ("output", signal.SIGKILL)
    assert outcome.truncated
    assert gone(marker)


def test_D11_limits_that_cannot_be_set(run_any: Run) -> None:
    """A limit that the system does not grant keeps a command from starting, whatever confines it."""
    with pytest.raises(SandboxUnavailable, match="prlimit"):
        run_any(Command(script="true", limits=Limits(open_files=1 << 40)))
