"""A confined command and its proxy: ways past it, what is recorded, and what is left."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from ordinary_user import as_nobody, folder_of_nobody
from proxy_scene import EchoHost, comes_true, echo_host, open_descriptors, port_of
from sandbox_run import Run, bound, gone

import runner
from runner.core.errors import SandboxUnavailable, StepFailed
from runner.sandbox.bubblewrap import Bubblewrap
from runner.sandbox.bubblewrap_gate import Gate
from runner.sandbox.commands import Backend, Command, Limits, Outcome, Room

# Opens descriptor 3 to the proxy, asks for $1, and shows the first line of the answer.
ASK = r"""
ask() {
    exec 3<>/dev/tcp/127.0.0.1/3128 || return
    printf 'CONNECT %s HTTP/1.1\r\n\r\n' "$1" >&3
    IFS=$'\r' read -r line _ <&3; echo "$line"
}
"""


@pytest.fixture
def host() -> Iterator[EchoHost]:
    with echo_host() as server:
        yield server


@pytest.fixture
def declared(host: EchoHost) -> tuple[str, ...]:
    return (f"site.test:{port_of(host)}", f"127.0.0.1:{port_of(host)}")


@pytest.fixture
def run_here(confined: Backend, room: Room) -> Run:
    """Where every name leads to this machine."""
    assert confined.name
    return bound(Bubblewrap(resolve=lambda *_: ["127.0.0.1"]), room)


def asking(script: str, *hosts: str, **env: str) -> Command:
    return Command(script=ASK + script, network=hosts, env=env, limits=Limits(timeout_s=120))


def lines(outcome: Outcome) -> list[str]:
    return outcome.output.decode().splitlines()


def test_a_declared_host_and_another(run_here: Run, declared: tuple[str, ...]) -> None:
    """The command talks to the host that it may reach; the outcome tells both, to the byte."""
    script = f"ask evil.test:443; ask {declared[0]}; echo hello >&3; read -r _ <&3; head -c 5 <&3"
    outcome = run_here(asking(script, *declared))
    assert lines(outcome) == [
        "HTTP/1.1 403 the step does not name this host",
        "HTTP/1.1 200 Connection established",
        "hello",
    ]
    allowed, refused = outcome.contacts
    assert (allowed.host, allowed.allowed, allowed.connections) == (declared[0], True, 1)
    assert (allowed.sent, allowed.received) == (6, 6)
    assert (refused.host, refused.allowed, refused.sent) == ("evil.test:443", False, 0)


def test_without_hosts_there_is_no_proxy(run_here: Run, declared: tuple[str, ...]) -> None:
    """Variables and proxy are there for a step that names hosts, and for no other."""
    bare = run_here(asking("env | grep -ic proxy; ask site.test:443"))
    assert lines(bare)[0] == "0"
    assert b"Connection refused" in bare.output
    assert bare.contacts == ()
    named = run_here(asking("env | grep -ic proxy", *declared))
    assert lines(named) == ["8"]
    assert named.contacts == ()


def test_a_step_keeps_its_own_variables(run_here: Run, declared: tuple[str, ...]) -> None:
    """What the step sets itself is not overridden."""
    outcome = run_here(asking("echo $HTTPS_PROXY $https_proxy", *declared, HTTPS_PROXY="mine"))
    assert lines(outcome) == ["mine http://127.0.0.1:3128"]


def test_D04_D05_ways_past_the_proxy(
    run_here: Run, host: EchoHost, declared: tuple[str, ...]
) -> None:
    """With a proxy, other ways out are as closed as without: TCP, UDP, raw, abstract sockets."""
    abstract = f"planlock-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{abstract}")
        server.listen()
        code = PAST.format(port=port_of(host), abstract=abstract)
        outcome = run_here(asking('python -c "$CODE"', *declared, CODE=code))
    assert lines(outcome) == [
        *("ECONNREFUSED", "ENETUNREACH", "ENETUNREACH", "ENETUNREACH", "ECONNREFUSED"),
        *("EPERM", "EPERM", "['lo']"),
    ]
    assert host.visitors == 0
    assert outcome.contacts == ()
    run_here(asking(f"ask {declared[0]}", *declared))
    assert comes_true(lambda: host.visitors == 1)


PAST = """
import errno, socket
def attempt(family, kind, place, protocol=0):
    try:
        with socket.socket(family, kind, protocol) as client:
            client.settimeout(5)
            client.connect(place)
            client.send(b"x")
        print("sent")
    except OSError as error:
        print(errno.errorcode[error.errno])
attempt(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", {port}))
attempt(socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", {port}))
attempt(socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53))
attempt(socket.AF_INET6, socket.SOCK_STREAM, ("2001:db8::1", 443))
attempt(socket.AF_UNIX, socket.SOCK_STREAM, "\\0{abstract}")
attempt(socket.AF_INET, socket.SOCK_RAW, ("127.0.0.1", 0), 1)
attempt(socket.AF_PACKET, socket.SOCK_RAW, ("lo", 0))
print([name for _, name in socket.if_nameindex()])
"""


def test_D05_the_proxy_of_another_command(
    run_here: Run, declared: tuple[str, ...], workspace: Path
) -> None:
    """Of two commands at the same time each has its own proxy, with its own hosts."""
    script = f"ask {declared[0]}; touch ready; while [ ! -e done ]; do sleep 0.01; done"
    answers: list[Outcome] = []
    first = threading.Thread(target=lambda: answers.append(run_here(asking(script, *declared))))
    first.start()
    assert comes_true((workspace / "ready").exists)
    second = run_here(asking(f"ask {declared[0]}", "other.test"))
    third = run_here(asking(f"ask {declared[0]}"))
    (workspace / "done").touch()
    first.join()
    assert lines(second) == ["HTTP/1.1 403 the step does not name this host"]
    assert b"Connection refused" in third.output
    assert [contact.allowed for contact in answers[0].contacts + second.contacts] == [True, False]


def test_a_background_process_loses_its_connection(
    run_here: Run, host: EchoHost, declared: tuple[str, ...]
) -> None:
    """When the command ends, so do its connections; threads and descriptors are gone."""
    run_here("true")
    before = threading.active_count(), open_descriptors()
    script = f"ask {declared[0]}; (setsid sleep 60 &) ; echo over"
    outcome = run_here(asking(script, *declared))
    assert lines(outcome)[-1] == "over"
    assert outcome.contacts[0].connections == 1
    assert comes_true(lambda: (threading.active_count(), open_descriptors()) == before)
    assert host.visitors == 1


def test_a_command_that_is_ended_is_told_too(run_here: Run, declared: tuple[str, ...]) -> None:
    """A timeout does not lose what was contacted."""
    command = Command(
        script=f"{ASK} ask {declared[0]}; sleep 50",
        network=declared,
        limits=Limits(timeout_s=0.5),
    )
    outcome = run_here(command)
    assert outcome.timed_out
    assert [contact.host for contact in outcome.contacts] == [declared[0]]


def test_a_text_that_is_no_host_starts_nothing(run_here: Run, workspace: Path) -> None:
    """A malformed host is the step's failure."""
    with pytest.raises(StepFailed, match="which is no host"):
        run_here(asking("touch started", "*.test"))
    assert not (workspace / "started").exists()


@pytest.fixture
def misled(tmp_path: Path, room: Room, confined: Backend) -> Run:
    """With a bwrap that names a process whose network cannot be entered."""
    assert confined.name
    program = tmp_path / "misled"
    program.write_text(
        '#!/bin/bash\n[ "$1" != --version ] || exit 0\n'
        "while [ $1 != -- ]; do case $1 in --json-status-fd) s=$2;; --block-fd) b=$2;; esac; shift; done\n"
        f"echo '{{\"child-pid\": 999999999}}' >&$s; read -rN1 -u$b; touch {room.workspace}/started\n"
        'shift; exec "$@"\n'
    )
    program.chmod(0o755)
    return bound(Bubblewrap(str(program)), room)


def test_D11_a_network_that_cannot_be_given(misled: Run, workspace: Path) -> None:
    """Without its proxy a command never starts, and the failure is the sandbox's."""
    with pytest.raises(
        SandboxUnavailable, match=r"listening inside a command's network: .*No such"
    ):
        misled(asking("true", "site.test"))
    time.sleep(0.1)
    assert not (workspace / "started").exists()


def test_D11_a_bubblewrap_that_hangs() -> None:
    """Who makes no namespaces in time is not waited for."""
    with Gate(patience_s=0.05) as gate:
        holder = os.dup(gate.status)
        with pytest.raises(SandboxUnavailable, match="made no namespaces"):
            gate.wait_for_namespaces()
        os.close(holder)


def test_D07_a_runner_that_dies_while_bubblewrap_waits(
    confined: Backend, workspace: Path, tmp_path: Path
) -> None:
    """A command whose runner is gone before it starts does not start."""
    assert confined.name
    deadly = tmp_path / "deadly"
    deadly.write_text("#!/bin/sh\nkill -9 $PPID\n")
    deadly.chmod(0o755)
    packages = Path(runner.__file__).parent.parent
    started = []
    for interpreter in (Path(sys.executable), deadly):
        (workspace / "started").unlink(missing_ok=True)
        arguments = [sys.executable, "-c", RUNNER, str(interpreter), str(workspace)]
        subprocess.run(arguments, cwd=packages, check=False)
        assert gone(f"touch {workspace}")
        started.append((workspace / "started").exists())
    assert started == [True, False]


# The interpreter is what starts inside the network while bubblewrap waits.
RUNNER = """
import sys
from pathlib import Path
from runner.sandbox.bubblewrap import Bubblewrap
from runner.sandbox.bubblewrap_gate import Gate
from runner.sandbox.contract import Command, Room
backend, sys.executable, folder = Bubblewrap(), sys.argv[1], Path(sys.argv[2])
backend.run(
    Command(script=f"touch {folder}/started", network=("site.test",)),
    Room(workspace=folder, mount_at=folder), on_output=print, cancelled=lambda: False,
)
"""


def test_D05_as_an_ordinary_user(confined: Backend) -> None:
    """A network needs no privilege to be given, nor to be held."""
    assert confined.name
    with folder_of_nobody() as folder:
        as_nobody(partial(ask_and_be_held, folder))


def ask_and_be_held(folder: Path) -> None:
    backend = Bubblewrap(resolve=lambda *_: ["127.0.0.1"])
    run = bound(backend, Room(workspace=folder, mount_at=folder))
    with echo_host() as server:
        port = port_of(server)
        script = f"ask evil.test:443; ask site.test:{port}; (exec 3<>/dev/tcp/127.0.0.1/{port})"
        outcome = run(asking(script, f"site.test:{port}", f"127.0.0.1:{port}"))
    assert [line.split()[1] for line in lines(outcome)[:2]] == ["403", "200"], outcome
    assert b"Connection refused" in outcome.output
    assert [contact.allowed for contact in outcome.contacts] == [True, False]
