from __future__ import annotations

import errno
import struct

import pytest

from runner.core.errors import SandboxUnavailable
from runner.sandbox import seccomp

ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CLONE_THREAD_FLAGS = 0x3D0F00


def decide(
    machine: str, number: int, *arguments: int, arch: int | None = None, own_namespaces: bool = True
) -> int:
    """Interprets the filter as the kernel would, over struct seccomp_data."""
    data = struct.pack(
        "=IIQ6Q", number, arch or AUDIT[machine], 0, *arguments, *[0] * (6 - len(arguments))
    )
    code = list(
        struct.iter_unpack("=HBBI", seccomp.program(machine, own_namespaces=own_namespaces))
    )
    at = accumulator = 0
    while True:
        operation, then, otherwise, value = code[at]
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                at += then if accumulator == value else otherwise
            case 0x35:
                at += then if accumulator >= value else otherwise
            case 0x45:
                at += then if accumulator & value else otherwise
            case _:
                return int(value)


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# x86_64 and aarch64 numbers, written down apart from the table under test.
CALLS = {
    "mount": (165, 40),
    "unshare": (272, 97),
    "ptrace": (101, 117),
    "bpf": (321, 280),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "move_mount": (429, 429),
    "setns": (308, 268),
    "open_by_handle_at": (304, 265),
    "kexec_load": (246, 104),
    "userfaultfd": (323, 282),
}
ORDINARY = {
    "read": (0, 63),
    "write": (1, 64),
    "execve": (59, 221),
    "futex": (202, 98),
    "prlimit64": (302, 261),
    "seccomp": (317, 277),
    "landlock_create_ruleset": (444, 444),
}
CLONE, CLONE3, IOCTL = (56, 220), (435, 435), (16, 29)
SOCKET, SOCKETPAIR, MKNODAT = (41, 198), (53, 199), (259, 33)


def number(pair: tuple[int, int], machine: str) -> int:
    return pair[0 if machine == "x86_64" else 1]


@pytest.mark.parametrize("name", CALLS)
def test_D09_dangerous_calls_are_refused(machine: str, name: str) -> None:
    """Calls that mount, trace, load or reach around the sandbox give EPERM."""
    assert decide(machine, number(CALLS[name], machine)) == REFUSE


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_calls_pass(machine: str, name: str) -> None:
    """What programs need is allowed."""
    assert decide(machine, number(ORDINARY[name], machine)) == ALLOW


def test_D09_namespaces_through_clone(machine: str) -> None:
    """Threads and children may be made, namespaces not; clone3 is said not to exist."""
    clone = number(CLONE, machine)
    assert decide(machine, clone, CLONE_THREAD_FLAGS) == ALLOW
    assert decide(machine, clone, 17) == ALLOW
    for flag in (0x00020000, 0x10000000, 0x20000000, 0x40000000):
        assert decide(machine, clone, flag | 17) == REFUSE
    assert decide(machine, number(CLONE3, machine)) == 0x00050000 | errno.ENOSYS


def test_D09_devices_through_mknod(machine: str) -> None:
    """FIFOs and plain files may be made, device nodes not."""
    mknodat = number(MKNODAT, machine)
    for kind, answer in ((0x1000, ALLOW), (0x8000, ALLOW), (0x2000, REFUSE), (0x6000, REFUSE)):
        assert decide(machine, mknodat, 0, 0, kind | 0o644) == answer
    assert decide("x86_64", 133, 0, 0x2000 | 0o644) == REFUSE


def test_D10_terminal_injection(machine: str) -> None:
    """TIOCSTI and TIOCLINUX are refused whatever stands in the upper half of the argument."""
    ioctl = number(IOCTL, machine)
    assert decide(machine, ioctl, 0, 0x5401) == ALLOW
    for command in (0x5412, 0x541C, 0x5412 | 1 << 32):
        assert decide(machine, ioctl, 0, command) == REFUSE


@pytest.mark.parametrize("family", [3, 17, 31, 38, 40, 44])
def test_D04_socket_families(machine: str, family: int) -> None:
    """Only local, internet and route sockets can be made."""
    assert decide(machine, number(SOCKET, machine), family) == REFUSE
    assert decide(machine, number(SOCKETPAIR, machine), family) == REFUSE


def test_sockets_that_programs_need(machine: str) -> None:
    """UNIX, internet and netlink-route sockets pass; netlink of other kinds does not."""
    socket = number(SOCKET, machine)
    for family in (1, 2, 10):
        assert decide(machine, socket, family, 1) == ALLOW
    assert decide(machine, socket, 16, 3, 0) == ALLOW
    assert decide(machine, socket, 16, 3, 9) == REFUSE
    assert decide(machine, number(SOCKETPAIR, machine), 1) == ALLOW


def shared(machine: str, pair: tuple[int, int], *arguments: int) -> int:
    return decide(machine, number(pair, machine), *arguments, own_namespaces=False)


def test_D04_no_sockets_without_a_network_of_ones_own(machine: str) -> None:
    """Only connected pairs can be made, whatever flags stand beside their kind."""
    for family in (1, 2, 10, 16):
        assert shared(machine, SOCKET, family, 1) == REFUSE
    for kind, answer in ((1, ALLOW), (5, ALLOW), (0x80801, ALLOW), (2, REFUSE), (3, REFUSE)):
        assert shared(machine, SOCKETPAIR, 1, kind) == answer
    assert shared(machine, SOCKETPAIR, 2, 1) == REFUSE


@pytest.mark.parametrize(
    "pair,place",
    [((302, 261), 0), ((203, 122), 0), ((144, 119), 0), ((141, 140), 1)],
)
def test_D06_other_processes_by_number(machine: str, pair: tuple[int, int], place: int) -> None:
    """Calls that name a process may name the caller alone where others could be meant."""
    assert shared(machine, pair, *[0] * 4) == ALLOW
    other = [0] * 4
    other[place] = 1234
    assert shared(machine, pair, *other) == REFUSE
    assert decide(machine, number(pair, machine), *other) == ALLOW


@pytest.mark.parametrize("pair,process", [((141, 140), 0), ((251, 30), 1)])
def test_D06_priority_of_a_whole_user(machine: str, pair: tuple[int, int], process: int) -> None:
    """A number of 0 means the caller where a process is meant, and all of a user elsewhere."""
    assert shared(machine, pair, process, 0, 19) == ALLOW
    assert shared(machine, pair, process, 1234, 19) == REFUSE
    for group_or_user in (process + 1, process + 2):
        assert shared(machine, pair, group_or_user, 0, 19) == REFUSE


@pytest.mark.parametrize("pair", [(29, 194), (64, 190), (68, 186), (240, 180), (93, 55), (190, 7)])
def test_D04_shared_memory_and_owners(machine: str, pair: tuple[int, int]) -> None:
    """The machine's memory segments, queues, owners and attributes are out of reach."""
    assert shared(machine, pair) == REFUSE
    assert decide(machine, number(pair, machine)) == ALLOW


def test_D01_suid_bits(machine: str) -> None:
    """A mode may be set, also the sgid bit that folders of teams have, but no suid bit."""
    for pair, place in (((91, 52), 1), ((268, 53), 2), ((452, 452), 2)):
        for mode, answer in ((0o755, ALLOW), (0o4755, REFUSE), (0o2755, ALLOW)):
            arguments = [0, 0, 0]
            arguments[place] = mode
            assert shared(machine, pair, *arguments) == answer


def test_ordinary_and_dangerous_calls_without_namespaces(machine: str) -> None:
    """The stricter filter adds to the other: all that is refused there is refused here."""
    assert {shared(machine, pair) for pair in ORDINARY.values()} == {ALLOW}
    assert {shared(machine, pair) for pair in CALLS.values()} == {REFUSE}


def test_D09_other_architectures(machine: str) -> None:
    """A call by 32-bit or x32 numbers ends the process."""
    assert decide(machine, 0, arch=0x40000003) == KILL
    assert decide(machine, 0x40000000 + 1) == KILL


def test_D11_unknown_machine() -> None:
    """Where no filter is known, nothing runs confined."""
    with pytest.raises(SandboxUnavailable, match="riscv64"):
        seccomp.program("riscv64")
