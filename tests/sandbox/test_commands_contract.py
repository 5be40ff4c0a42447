"""What every backend keeps: these tests run with each kind of confinement and without."""

from __future__ import annotations

import hashlib
import itertools
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox_run import Run, bound, gone

from runner.core.errors import SandboxUnavailable, StepFailed, WorkspaceSecurityError
from runner.sandbox.commands import Backend, Command, Limits, Room, find_backend


@pytest.mark.parametrize(
    "script,exit_code,number",
    [
        ("true", 0, None),
        ("exit 3", 3, None),
        ("exit 127", 127, None),
        ("exit 255", 255, None),
        ("kill -TERM $$", None, signal.SIGTERM),
        ("kill -KILL $$", None, signal.SIGKILL),
        ("bash -c 'kill -SEGV $$'", None, signal.SIGSEGV),
    ],
)
def test_exit_codes_and_signals_are_told_apart(
    run_any: Run, script: str, exit_code: int | None, number: int | None
) -> None:
    """An exit code and a signal are different answers."""
    outcome = run_any(script)
    assert (outcome.exit_code, outcome.signal) == (exit_code, number)
    assert (outcome.timed_out, outcome.cancelled, outcome.limit_hit) == (False, False, "")


def test_command_not_found_says_so(run_any: Run) -> None:
    """A missing program is the command's own failure, with its message."""
    outcome = run_any("frobnicate --now")
    assert outcome.exit_code == 127
    assert b"frobnicate: command not found" in outcome.output


def test_output_is_merged_streamed_and_digested(run_any: Run) -> None:
    """Both streams arrive in order, as they come, and the record fits what was streamed."""
    heard: list[bytes] = []
    outcome = run_any("echo one; echo two >&2; echo three", on_output=heard.append)
    assert outcome.output == b"one\ntwo\nthree\n"
    assert b"".join(heard) == outcome.output
    assert outcome.output_length == 14
    assert outcome.output_sha256 == f"sha256:{hashlib.sha256(outcome.output).hexdigest()}"


def test_the_workspace_is_the_working_directory(run_any: Run, workspace: Path) -> None:
    """A command reads and writes the workspace by relative paths."""
    assert run_any("pwd; cp utils.py copy.py").output.decode().strip() == str(workspace)
    assert (workspace / "copy.py").read_text() == "ONE = 1\n"


def test_working_dir(run_any: Run, workspace: Path) -> None:
    """A folder of the workspace may be the place to start in."""
    (workspace / "src").mkdir()
    outcome = run_any(Command(script="pwd", working_dir="src"))
    assert outcome.output.decode().strip() == str(workspace / "src")


@pytest.mark.parametrize("place", ["../outside", "/tmp", ".git/hooks", "way-out"])
def test_C02_working_dir_outside(run_any: Run, workspace: Path, place: str) -> None:
    """A working directory that leads out, also through a link, is refused."""
    (workspace / "way-out").symlink_to("/tmp")
    with pytest.raises(WorkspaceSecurityError):
        run_any(Command(script="pwd", working_dir=place))


def test_a_missing_working_dir_is_named(run_any: Run) -> None:
    """A working directory that does not exist fails the step, not the sandbox."""
    with pytest.raises(StepFailed, match="missing: no such folder"):
        run_any(Command(script="pwd", working_dir="missing"))


@pytest.mark.parametrize(
    "command",
    [
        Command(script="echo a\0b"),
        Command(script="#" * 140_000),
        Command(script="echo \udcff"),
        Command(script="true", env={"A=B": "1"}),
        Command(script="true", env={"": "1"}),
        Command(script="true", env={"A": "\0"}),
    ],
)
def test_what_could_never_run_is_refused(run_any: Run, command: Command) -> None:
    """A malformed command or environment is told before anything starts."""
    with pytest.raises(StepFailed, match="running a command"):
        run_any(command)


def test_D12_environment_is_fresh(run_any: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the known variables and the step's own reach a command."""
    for name in ("GITHUB_TOKEN", "GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "AWS_SECRET"):
        monkeypatch.setenv(name, "stolen")
    outcome = run_any(Command(script="env", env={"MODE": "a b\nc"}))
    names = {line.partition("=")[0] for line in outcome.output.decode().splitlines() if "=" in line}
    assert names - {"_", "PWD", "SHLVL", "OLDPWD"} == {
        *("PATH", "HOME", "LANG", "TMPDIR", "PYTHONDONTWRITEBYTECODE", "MODE")
    }
    assert b"MODE=a b\nc\n" in outcome.output
    assert b"stolen" not in outcome.output


def test_D12_inherited_descriptors(run_any: Run, tmp_path: Path) -> None:
    """A descriptor that is open in the runner is not open in a command."""
    (tmp_path / "token").write_text("stolen")
    with (tmp_path / "token").open() as file:
        outcome = run_any(f"ls /proc/self/fd; cat <&{file.fileno()}")
    assert outcome.output.split()[:4] == [b"0", b"1", b"2", b"3"]
    assert b"stolen" not in outcome.output


def test_D10_no_input(run_any: Run) -> None:
    """Standard input is empty, so nothing waits for a person."""
    assert run_any("cat; read x; echo $?").output == b"1\n"


def test_D07_timeout_ends_the_whole_tree(run_any: Run, marker: str) -> None:
    """At the deadline everything is ended, also what ignores SIGTERM or left the session."""
    script = f"trap '' TERM; setsid sleep {marker} & (sleep {marker} &) ; sleep {marker}"
    outcome = run_any(Command(script=script, limits=Limits(timeout_s=0.5)))
    assert outcome.timed_out
    assert (outcome.exit_code, outcome.signal) == (None, signal.SIGKILL)
    assert gone(marker)


def test_D07_cancel_ends_the_whole_tree(run_any: Run, marker: str) -> None:
    """Cancelling takes effect while a command runs, and keeps what it had said."""
    answers = itertools.chain([False] * 4, itertools.repeat(True))
    outcome = run_any(f"echo begun; sleep {marker}", cancelled=lambda: next(answers))
    assert outcome.cancelled
    assert not outcome.timed_out
    assert outcome.output == b"begun\n"
    assert gone(marker)


def test_D07_background_processes_end_with_the_command(run_any: Run, marker: str) -> None:
    """What a command leaves behind is ended when it returns, though it holds the output open."""
    outcome = run_any(f"sleep {marker} & nohup sleep {marker} & exit 4")
    assert outcome.exit_code == 4
    assert gone(marker)


def test_D07_daemons_end_with_the_command(run_any: Run, marker: str) -> None:
    """Who left the session and lost its parent long ago ends with the command as well."""
    script = f"(trap '' TERM HUP; setsid setsid sleep {marker} &) ; sleep 0.3; echo done"
    assert run_any(script).output == b"done\n"
    assert gone(marker)


def test_a_listener_that_raises_ends_the_command(run_any: Run, marker: str) -> None:
    """An error in the caller's own code leaves no process behind."""

    def complain(_: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_any(f"echo begun; sleep {marker}", on_output=complain)
    assert gone(marker)


def test_closed_output_does_not_end_the_watch(run_any: Run) -> None:
    """A command that closes its output goes on, and its exit code is waited for."""
    assert run_any("exec >&- 2>&-; sleep 0.3; exit 5").exit_code == 5


def test_the_backend_is_named(run_any: Run, backend: Backend) -> None:
    """The outcome says what confined it."""
    assert run_any("true").backend == backend.name
    assert backend.name.split()[0] in {"bubblewrap", "landlock", "none"}


def test_tools_come_first_on_path(backend: Backend, workspace: Path, tmp_path: Path) -> None:
    """A tool folder with a bin puts that on PATH, one without is put there itself."""
    for place in ("kit/bin", "plain"):
        (tmp_path / place).mkdir(parents=True)
        program = tmp_path / place / place.partition("/")[0]
        program.write_text("#!/bin/sh\necho mine\n")
        program.chmod(0o755)
    tools = (tmp_path / "kit", tmp_path / "plain")
    run = bound(backend, Room(workspace=workspace, mount_at=workspace, tools=tools))
    outcome = run("kit; plain; echo $PATH")
    path = f"{tmp_path}/kit/bin:{tmp_path}/plain:/usr/local/bin:/usr/bin:/bin"
    assert outcome.output.decode() == f"mine\nmine\n{path}\n"


def test_no_descriptors_are_left_open(run_any: Run) -> None:
    """Running closes all that it opened."""
    run_any("true")
    before = len(list(Path("/proc/self/fd").iterdir()))
    run_any("true")
    run_any(Command(script="sleep 5", limits=Limits(timeout_s=0.1)))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("require", ["Confined", "", "Landlock"])
def test_D11_unknown_requirement(require: str) -> None:
    """A word that is not known gives no backend."""
    with pytest.raises(SandboxUnavailable, match="is not known"):
        find_backend(require)


FakeProgram = Callable[[str], str]


@pytest.fixture
def program(tmp_path: Path) -> FakeProgram:
    """Stands for a bwrap that misbehaves."""

    def write(text: str) -> str:
        path = tmp_path / "bwrap"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    return write


def test_D11_backend_missing(tmp_path: Path) -> None:
    """Without bubblewrap confinement is refused, with the command that installs it."""
    with pytest.raises(SandboxUnavailable, match="is not installed") as caught:
        find_backend("confined", program=str(tmp_path / "bwrap"))
    assert caught.value.hint == "sudo apt-get install bubblewrap"


@pytest.mark.parametrize(
    "behaviour",
    [
        "exit 1",
        'test "$1" = --version && exit 0; exit 0',
        'test "$1" = --version && exit 0; echo setting up uid map: denied; exit 1',
        'test "$1" = --version && exit 0; kill -9 $$',
    ],
)
def test_D11_backend_that_confines_nothing(program: FakeProgram, behaviour: str) -> None:
    """A set-up that ends early, with success or without, is never taken for the command's end."""
    with pytest.raises(SandboxUnavailable, match="confining a command"):
        find_backend("confined", program=program(behaviour))
