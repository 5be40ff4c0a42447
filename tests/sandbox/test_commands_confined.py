"""Attacks on the confinement, and what it must leave possible."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from ordinary_user import as_nobody, folder_of_nobody
from sandbox_run import Run, bound, gone

import runner
from runner.core.errors import SandboxUnavailable, WorkspaceSecurityError
from runner.sandbox.bubblewrap import Bubblewrap
from runner.sandbox.commands import Backend, Command, Limits, Room, find_backend

PACKAGES = Path(runner.__file__).parent.parent


def python(run: Run, code: str) -> str:
    """What the code prints inside."""
    command = Command(
        script='python -c "$CODE"',
        env={"CODE": code, "PYTHONPATH": str(PACKAGES)},
        limits=Limits(timeout_s=120),
    )
    return run(command).output.decode()


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of the host, beside the workspace."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "file").write_text("untouched")
    os.utime(folder / "file", (1, 1))
    return folder


@pytest.mark.parametrize(
    "attack",
    [
        "echo x > {victim}/file",
        "chmod 777 {victim}/file",
        "touch {victim}/file {victim}/new",
        "rm -rf {victim}",
        "ln -s {victim} out; echo x > out/file; touch out/new",
        "ln -s ../victim out; echo x > out/file",
        "ln {victim}/file hard; echo x > hard",
        "for p in /proc/[0-9]*; do echo x > $p/root{victim}/file; echo x > $p/cwd/../victim/file; done",
        "mkdir -p {victim}; echo x > {victim}/file",
    ],
)
def test_D01_writes_outside(run: Run, victim: Path, attack: str) -> None:
    """Files beside the workspace keep content, mode and times, however they are reached."""
    run(attack.format(victim=victim))
    assert [entry.name for entry in victim.iterdir()] == ["file"]
    assert (victim / "file").read_text() == "untouched"
    found = (victim / "file").stat()
    assert (found.st_mtime, found.st_mode & 0o777) == (1, 0o644)


@pytest.mark.parametrize("place", ["/usr", "/etc", "/", "/usr/bin", "/dev", "/proc", "/var"])
def test_D01_system_folders(run: Run, place: str) -> None:
    """The system is read-only, also for root."""
    assert run(f"touch {place}/planlock-was-here").exit_code == 1
    assert not (Path(place) / "planlock-was-here").exists()


def test_D01_kernel_settings(run: Run) -> None:
    """No file of /proc can be opened for writing: some are settings of the whole machine."""
    assert python(run, OPEN_FOR_WRITING).split() == ["0", "of", "some"]


OPEN_FOR_WRITING = """
import os
tried = opened = 0
for place, folders, files in os.walk("/proc"):
    folders[:] = [name for name in folders if name not in ("fd", "map_files", "task", "cwd", "root")]
    for name in files:
        tried += 1
        try:
            os.close(os.open(os.path.join(place, name), os.O_WRONLY | os.O_NOFOLLOW))
            opened += 1
        except OSError:
            pass
print(opened, "of", "some" if tried > 100 else "none")
"""


@pytest.mark.parametrize(
    "attack",
    [
        "echo x > .git/config",
        "echo x > .git/hooks/pre-commit",
        "mv .git .old",
        "rm -rf .git",
        "mkdir new && mv -T new .git",
        "mount -o remount,rw .git",
        "echo x > plans/policy.yaml",
        "mv plans elsewhere",
    ],
)
def test_D02_git_dir_and_plans(run: Run, workspace: Path, attack: str) -> None:
    """The repository and the plans can be read, and not written, moved or replaced."""
    assert run("cat .git/config plans/policy.yaml").exit_code == 0
    assert run(attack).exit_code != 0
    assert (workspace / ".git" / "config").read_text() == "[core]\n"
    assert not list((workspace / ".git" / "hooks").iterdir())
    assert (workspace / "plans" / "policy.yaml").read_text() == "version: 1\n"


def test_D02_git_dir_as_a_file(confined: Backend, tmp_path: Path) -> None:
    """The file `.git` of a linked work tree is read-only as well."""
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    run = bound(confined, Room(workspace=tmp_path, mount_at=tmp_path))
    assert run("echo x > .git").exit_code != 0
    assert run("rm .git").exit_code != 0
    assert (tmp_path / ".git").read_text() == "gitdir: elsewhere\n"


def test_D02_git_dir_as_a_link(confined: Backend, tmp_path: Path) -> None:
    """A link in the place of something read-only is refused, since its target is writable."""
    (tmp_path / "real").mkdir()
    (tmp_path / ".git").symlink_to("real")
    run = bound(confined, Room(workspace=tmp_path, mount_at=tmp_path))
    with pytest.raises(WorkspaceSecurityError, match="symbolic link"):
        run("true")


def test_D03_homes_are_absent(run: Run) -> None:
    """Nobody's home is there; the command's own is empty."""
    outcome = run(
        f"ls -A ~ /home; ls -d {Path.home()}/.ssh {Path.home()}/.config /srv /mnt /root/.ssh"
    )
    assert outcome.output.decode().splitlines()[:4] == ["/home:", "sandbox", "", "/home/sandbox:"]
    assert outcome.output.count(b"No such file") == 5


def test_D03_secrets_of_the_system(run: Run) -> None:
    """What others may not read in /etc cannot be read inside, also by root."""
    closed = [p for p in ("/etc/shadow", "/etc/gshadow", "/etc/ssl/private") if Path(p).exists()]
    for path in closed:
        assert run(f"cat {path} || ls {path}/").exit_code != 0
    assert run("grep -q root /etc/passwd").exit_code == 0


def test_D03_tmp_is_private(run: Run, confined: Backend) -> None:
    """The machine's temporary folder is not seen, and what is put there is gone afterwards."""
    with tempfile.NamedTemporaryFile(dir="/tmp") as file:
        assert run(f"cat {file.name}").exit_code != 0
    assert run("touch /tmp/mine /var/tmp/mine /dev/shm/mine ~/mine; ls /tmp").exit_code == 0
    assert run("ls /tmp/mine ~/mine /dev/shm/mine").exit_code != 0
    assert confined.name


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_D04_loopback(run: Run, listener: int) -> None:
    """The machine's own services cannot be reached."""
    assert run(f"exec 3<>/dev/tcp/127.0.0.1/{listener}").exit_code != 0
    assert run("exec 3<>/dev/udp/192.0.2.1/53 && echo x >&3").exit_code != 0


def test_D04_unix_sockets(run: Run, tmp_path: Path) -> None:
    """Neither abstract sockets of the machine nor those under a path are there."""
    abstract = f"\0planlock-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as other:
        server.bind(abstract)
        server.listen()
        other.bind(str(tmp_path / "s"))
        other.listen()
        said = python(
            run, CONNECT.format(places=[abstract, str(tmp_path / "s"), "/run/docker.sock"])
        )
    assert said.split() == ["ECONNREFUSED", "ENOENT", "ENOENT"]


CONNECT = """
import errno, socket
for place in {places!r}:
    try:
        socket.socket(socket.AF_UNIX).connect(place)
        print("connected")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


def test_D04_other_families(run: Run) -> None:
    """Virtual-machine, packet, kernel-crypto and audit sockets cannot be made."""
    families = [(40, 1, 0), (17, 3, 0), (38, 5, 0), (16, 3, 9), (31, 1, 0)]
    assert python(run, SOCKETS.format(families=families)).split() == ["EPERM"] * 5


SOCKETS = """
import errno, socket
for family in {families!r}:
    try:
        socket.socket(*family)
        print("made")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


def test_D06_other_processes(run: Run) -> None:
    """The runner is not visible, and killing everything kills only the command itself."""
    assert run(f"kill -9 {os.getpid()}; kill -0 {os.getppid()}").exit_code != 0
    assert run("kill -9 -1; exit 0").signal in {None, signal.SIGKILL}
    assert int(run("ls -d /proc/[0-9]* | wc -l").output) < 10


def test_D06_environment_of_pid_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process of the sandbox knows no secret, nor does any other that is visible."""
    monkeypatch.setenv("GITHUB_TOKEN", "stolen-token")
    outcome = run("cat /proc/*/environ /proc/*/cmdline /proc/*/mountinfo | tr '\\0' '\\n'")
    assert b"stolen-token" not in outcome.output
    assert b"LANG=C.UTF-8" in outcome.output


def test_D06_step_environment_stays_off_the_command_line(run: Run, workspace: Path) -> None:
    """Other users of the machine cannot read the step's variables from a list of processes."""
    seen: list[str] = []

    def look(_: bytes) -> None:
        seen.extend(p.read_text(errors="replace") for p in Path("/proc").glob("[0-9]*/cmdline"))

    run(
        Command(script=f"echo {workspace.name}; sleep 0.1", env={"KEY": "hush-hush"}),
        on_output=look,
    )
    assert any("prlimit" in line or "bwrap" in line for line in seen)
    assert not any("hush-hush" in line for line in seen)


def test_D06_D09_system_calls(run: Run) -> None:
    """Tracing, mounting, namespaces, keys, bpf and io_uring are refused by the kernel."""
    said = python(run, SYSTEM_CALLS)
    assert set(said.split()) == {"EPERM"}, said


SYSTEM_CALLS = """
import ctypes, errno, platform
libc = ctypes.CDLL(None, use_errno=True)
both = [425, 428, 429, 430, 442, 438]
own = {"x86_64": [101, 155, 161, 165, 166, 248, 250, 272, 298, 308, 310, 311, 321, 135, 304],
       "aarch64": [117, 41, 51, 40, 39, 217, 219, 97, 241, 268, 270, 271, 280, 92, 265]}
for number in both + own[platform.machine()]:
    libc.syscall(number, 0, 0, 0, 0, 0, 0)
    print(errno.errorcode[ctypes.get_errno()])
libc.ioctl(0, 0x5412, b"x")
print(errno.errorcode[ctypes.get_errno()])
"""


@pytest.mark.parametrize(
    "attack",
    [
        "unshare --user true",
        "unshare --mount true",
        "mount -t tmpfs none /tmp",
        "mount -o remount,rw /usr",
        "umount .git",
        "mknod device c 1 5",
        "mknod device b 8 0",
        "chroot / true",
        "nsenter -t 1 -m true",
        "cat /dev/mem /dev/kmsg",
    ],
)
def test_D09_privileges(run: Run, attack: str) -> None:
    """No command gains a namespace, a mount or a device."""
    assert run(attack).exit_code not in {0, None}


def test_D09_suid(run: Run, workspace: Path) -> None:
    """There is no privilege to gain: no capabilities, and suid bits are ignored."""
    said = run("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status").output.split()
    assert set(said[1:10:2]) == {b"0000000000000000"}
    assert said[10:] == [b"NoNewPrivs:", b"1", b"Seccomp:", b"2"]
    assert workspace.exists()


def test_D10_terminal(run: Run) -> None:
    """A command has no terminal to read from or to inject into."""
    assert run("cat < /dev/tty").exit_code != 0
    assert run("test -t 0 -o -t 1 -o -t 2").exit_code == 1


def test_D07_supervisor_killed(room: Room, tmp_path: Path) -> None:
    """When the runner is killed, no process of the command survives, daemons neither."""
    marker = f"86{os.getpid()}"
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(room.workspace), marker],
        stdout=subprocess.PIPE,
        cwd=PACKAGES,
    )
    assert supervisor.stdout
    assert supervisor.stdout.readline() == b"begun\n"
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.communicate()
    assert gone(f"sleep\0{marker}")
    assert tmp_path.exists()


SUPERVISOR = """
import sys
from pathlib import Path
from runner.sandbox.commands import Command, Room, find_backend
folder, marker = Path(sys.argv[1]), sys.argv[2]
script = f"trap '' TERM HUP; (setsid setsid sleep {marker} &); sleep 0.2; echo begun; sleep {marker}"
find_backend("confined").run(
    Command(script=script), Room(workspace=folder, mount_at=folder),
    on_output=lambda text: print(text.decode(), end="", flush=True), cancelled=lambda: False,
)
"""


def test_D08_fork_bomb(run: Run) -> None:
    """A fork bomb is ended, by our count or by the kernel's."""
    limits = Limits(timeout_s=120, processes=64)
    # As root only our count ends it: at full speed it leaves other tests no process meanwhile.
    pause = "sleep 0.03; " if os.geteuid() == 0 else ""
    outcome = run(Command(script=f"f() {{ {pause}f | f & }}; f; sleep 10", limits=limits))
    assert outcome.limit_hit == "processes" or b"Resource temporarily unavailable" in outcome.output


@pytest.mark.parametrize("place", ["/tmp", "/dev/shm", "~", "/run"])
def test_D08_private_folders_are_small(run: Run, place: str) -> None:
    """Memory-backed folders fill up before the machine does."""
    outcome = run(f"head -c 300000000 /dev/zero > {place}/fill")
    assert outcome.exit_code == 1
    assert b"No space left" in outcome.output


def test_C11_file_system_refusals(run: Run) -> None:
    """A full disk, a read-only one and a closed folder are told by name, nothing half written."""
    assert python(run, REFUSALS).splitlines() == [
        "x: No space left on device",
        "['old']",
        "new: Read-only file system",
        "x: Permission denied",
    ]


REFUSALS = """
import os
from pathlib import Path
from runner.core.errors import FileAccessError
from runner.sandbox.files import Workspace
def attempt(root, name, size):
    try:
        Workspace(Path(root)).write(name, b"y" * size)
    except FileAccessError as error:
        print(error)
Workspace(Path("/dev/shm")).write("old", b"old")
attempt("/dev/shm", "x", 80_000_000)
print(os.listdir("/dev/shm"))
attempt("/usr", "new", 1)
os.mkdir("closed", 0o500)
attempt("closed", "x", 1)
"""


def test_D11_set_up_failure_is_not_the_commands(confined: Backend, tmp_path: Path) -> None:
    """A folder that cannot be shown is the sandbox's failure, and the command does not start."""
    room = Room(workspace=tmp_path, mount_at=tmp_path, git_objects=(tmp_path.parent / "missing",))
    with pytest.raises(SandboxUnavailable, match="missing"):
        bound(confined, room)("touch started")
    assert not (tmp_path / "started").exists()


def test_D11_limits_that_cannot_be_set(run: Run) -> None:
    """A limit that the system does not grant is the sandbox's failure."""
    with pytest.raises(SandboxUnavailable, match="prlimit"):
        run(Command(script="true", limits=Limits(open_files=1 << 40)))


@pytest.mark.parametrize(
    "place", ["/", "/usr", "/etc/x", "/home", "/tmp", "/proc/x", "/bin/x", "/var", "a/b", "/a/../b"]
)
def test_a_workspace_may_not_hide_the_system(confined: Backend, tmp_path: Path, place: str) -> None:
    """A workspace in the place of a system folder is refused."""
    with pytest.raises(SandboxUnavailable, match="workspace"):
        bound(confined, Room(workspace=tmp_path, mount_at=Path(place)))("true")


@pytest.mark.parametrize(
    "place",
    ["/root/p", "/home/ada/p", "/tmp/p", "/var/tmp/p", "/work/p", "/var/lib/ci/p", "/home/ada"],
)
def test_a_workspace_may_lie_anywhere_else(confined: Backend, tmp_path: Path, place: str) -> None:
    """The workspace appears under the project's own path, so that its tracebacks fit."""
    run = bound(confined, Room(workspace=tmp_path, mount_at=Path(place)))
    assert run(f"touch {place}/made; test $PWD -ef {place}").exit_code == 0
    assert (tmp_path / "made").exists()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a virtual environment of its own, and a run's workspace beside it."""
    folder = tmp_path / "project"
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    return folder


def test_the_projects_virtual_environment(
    confined: Backend, workspace: Path, project: Path
) -> None:
    """A virtual environment inside the project works in the workspace, and leaves no trace."""
    tool = project / ".venv"
    run = bound(confined, Room(workspace=workspace, mount_at=project, tools=(tool,)))
    outcome = run("python -c 'import sys, ssl; print(sys.prefix)'; touch .venv/x")
    assert outcome.output.decode().splitlines()[0] == str(tool)
    assert outcome.exit_code == 1
    assert not (workspace / ".venv").exists()
    assert not (tool / "x").exists()


def test_a_deep_tool_and_a_command_that_moves_in(
    confined: Backend, workspace: Path, project: Path
) -> None:
    """Folders made for a mount go away again, unless the command put something beside it."""
    tool = project / "build" / "kit"
    tool.mkdir(parents=True)
    room = Room(workspace=workspace, mount_at=project, tools=(tool,))
    assert bound(confined, room)("touch build/made").exit_code == 0
    assert [path.name for path in (workspace / "build").iterdir()] == ["made"]


def test_a_tools_place_that_is_a_link(confined: Backend, workspace: Path, project: Path) -> None:
    """A link in the workspace where a tool belongs is refused: it would be followed."""
    (workspace / ".venv").symlink_to("/etc")
    room = Room(workspace=workspace, mount_at=project, tools=(project / ".venv",))
    with pytest.raises(WorkspaceSecurityError, match="not a folder"):
        bound(confined, room)("true")


def test_tools_that_would_show_too_much(confined: Backend, workspace: Path, tmp_path: Path) -> None:
    """A home, a parent of the workspace, or a missing folder cannot be a tool."""
    (tmp_path / "ada" / ".ssh").mkdir(parents=True)
    for tool in (tmp_path / "ada", tmp_path, workspace, Path("/"), tmp_path / "missing"):
        room = Room(workspace=workspace, mount_at=workspace, tools=(tool,))
        with pytest.raises(SandboxUnavailable):
            bound(confined, room)("true")


@pytest.mark.parametrize("home", ["/root/bin", "/bin", "relative/bin", "/nowhere/bin"])
def test_an_environment_whose_interpreter_is_nowhere(
    confined: Backend, workspace: Path, tmp_path: Path, home: str
) -> None:
    """A virtual environment may name only an interpreter's own folder as its base."""
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").write_text(f"home = {home}\n")
    room = Room(workspace=workspace, mount_at=workspace, tools=(tmp_path / "venv",))
    with pytest.raises(SandboxUnavailable):
        bound(confined, room)("true")


def test_git_objects_are_readable(confined: Backend, workspace: Path, tmp_path: Path) -> None:
    """The object store appears read-only at its own path."""
    store = tmp_path / "store" / "objects"
    store.mkdir(parents=True)
    (store / "pack").write_text("content")
    room = Room(workspace=workspace, mount_at=workspace, git_objects=(store,))
    assert bound(confined, room)(f"cat {store}/pack").output == b"content"
    assert bound(confined, room)(f"rm {store}/pack").exit_code != 0


def test_ordinary_programs_work(run: Run) -> None:
    """Threads, processes, event loops, socket pairs and address lists work confined."""
    assert python(run, ORDINARY).split() == ["4", "9", "5", "done"]


ORDINARY = """
import asyncio, concurrent.futures, multiprocessing, socket, subprocess
with concurrent.futures.ThreadPoolExecutor() as pool:
    print(sum(pool.map(lambda n: n, [1, 3])))
with multiprocessing.Pool(2) as pool:
    print(sum(pool.map(abs, [-4, -5])))
async def main():
    process = await asyncio.create_subprocess_shell("exit 5")
    print(await process.wait())
asyncio.run(main())
socket.if_nameindex()
left, right = socket.socketpair()
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
subprocess.run(["git", "--version"], stdout=subprocess.DEVNULL)
print("done")
"""


def test_D04_system_v_memory_is_of_ones_own(run: Run) -> None:
    """Shared memory segments of the host cannot be seen or made there."""
    if shutil.which("ipcmk") is None:
        pytest.skip("util-linux's ipcmk makes the segment")
    made = subprocess.run(["ipcmk", "-M", "64"], capture_output=True, text=True, check=True)
    number = made.stdout.split()[-1]
    try:
        outcome = run("wc -l < /proc/sysvipc/shm")
    finally:
        subprocess.run(["ipcrm", "-m", number], check=True)
    assert outcome.output.strip() == b"1"  # the heading alone


def test_pytest_runs_confined(run: Run, workspace: Path) -> None:
    """The project's tests can be run with the project's own pytest."""
    (workspace / "test_it.py").write_text(
        "from utils import ONE\ndef test_one():\n    assert ONE == 1\n"
    )
    outcome = run("python -m pytest -q -p no:cacheprovider test_it.py")
    assert outcome.exit_code == 0, outcome.output
    assert b"1 passed" in outcome.output


def test_an_ordinary_user_confines_as_well() -> None:
    """Confinement needs no privilege: it works, and holds, for a user without any."""
    with folder_of_nobody() as folder:
        as_nobody(partial(confine, folder))


def confine(folder: Path) -> None:
    run = bound(find_backend("confined"), Room(workspace=folder, mount_at=folder))
    assert run("id -u; touch made").output == b"65534\n"
    assert (folder / "made").exists()
    limits = Limits(timeout_s=0.5, processes=30)
    bomb = run(Command(script="for i in $(seq 60); do sleep 5 & done; exit 0", limits=limits))
    # either the kernel's limit or the watchdog comes first
    assert b"Resource temporarily unavailable" in bomb.output or bomb.limit_hit == "processes"
    memory = Limits(timeout_s=120, memory_bytes=50 << 20)
    big = run(Command(script="head -c 200M /dev/zero | tail", limits=memory))
    assert b"memory exhausted" in big.output or big.limit_hit == "memory"
    assert run(Command(script="sleep 50", limits=Limits(timeout_s=0.2))).timed_out


def test_bubblewrap_can_be_used_again(confined: Backend) -> None:
    """A backend keeps nothing between commands but its name."""
    assert Bubblewrap().name == confined.name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can put a file there")
def test_D03_private_files_among_programs(confined: Backend, room: Room) -> None:
    """What others may not read in /opt is hidden, and so are git's own folders there."""
    with tempfile.TemporaryDirectory(dir="/opt") as folder:
        place = Path(folder)
        place.chmod(0o755)
        (place / "credentials").write_text("PRIVATE-1")
        (place / "credentials").chmod(0o600)
        (place / "project.git").mkdir()
        (place / "project.git/config").write_text("PRIVATE-2")
        (place / "program").write_text("open")
        (place / "program").chmod(0o644)
        script = f"cat {place}/credentials {place}/project.git/config {place}/program"
        inside = replace(room, closed=(place / "project.git",))
        output = bound(confined, inside)(script).output.decode()
    assert "open" in output
    assert "PRIVATE" not in output
