"""The system-call filter of confined commands, as the kernel's BPF program (seccomp(2))."""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

from runner.core.errors import SandboxUnavailable

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT = 0x15, 0x35, 0x45
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_X32 = 0x40000000

_NEW_NAMESPACES = 0x7E020080
_FORMAT, _BLOCK, _CHARACTER = 0xF000, 0x6000, 0x2000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_UNIX, _INET, _INET6, _NETLINK, _NETLINK_ROUTE = 1, 2, 10, 16, 0

# x86_64 and aarch64 numbers; None where the architecture has no such call.
_DENIED: dict[str, tuple[int | None, int | None]] = {
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "unshare": (272, 97),
    "setns": (308, 268),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "userfaultfd": (323, 282),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "personality": (135, 92),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "vhangup": (153, 58),
    "memfd_secret": (447, 447),
}


@dataclass(frozen=True, kw_only=True)
class _Machine:
    audit: int
    column: int
    clone: int
    clone3: int
    ioctl: int
    socket: int
    socketpair: int
    mknodat: int
    mknod: int | None


_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        column=0,
        clone=56,
        clone3=435,
        ioctl=16,
        socket=41,
        socketpair=53,
        mknodat=259,
        mknod=133,
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        column=1,
        clone=220,
        clone3=435,
        ioctl=29,
        socket=198,
        socketpair=199,
        mknodat=33,
        mknod=None,
    ),
}


def program(machine: str | None = None) -> bytes:
    """An array of struct sock_filter; raises SandboxUnavailable for an unknown machine."""
    name = machine or platform.machine()
    if name not in _MACHINES:
        raise SandboxUnavailable(f"confining a command: no system-call filter for {name}")
    known = _MACHINES[name]
    parts = [_entry(known), *_denials(known), *_argument_checks(known), _answer(_ALLOW)]
    return b"".join(parts)


def _op(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)


def _answer(action: int) -> bytes:
    return _op(_RETURN, action)


def _denied(cause: int = errno.EPERM) -> bytes:
    return _answer(_ERRNO | cause)


def _low_word(argument: int) -> bytes:
    """Loads the low half of an argument; the calls below take 32-bit values."""
    return _op(_LOAD, _ARGUMENTS_AT + 8 * argument)


def _entry(machine: _Machine) -> bytes:
    other_arch = _op(_IF_EQUAL, machine.audit, then=1) + _answer(_KILL)
    x32 = _op(_IF_AT_LEAST, _X32, otherwise=1) + _answer(_KILL)
    return _op(_LOAD, _ARCH_AT) + other_arch + _op(_LOAD, _NUMBER_AT) + x32


def _denials(machine: _Machine) -> list[bytes]:
    numbers = [pair[machine.column] for pair in _DENIED.values()]
    denied = [_on_call(number, _denied()) for number in numbers if number is not None]
    # libc falls back to clone, whose flags a filter can read; clone3 keeps them in memory.
    return [*denied, _on_call(machine.clone3, _denied(errno.ENOSYS))]


def _on_call(number: int, block: bytes) -> bytes:
    """Runs the block, which must end in an answer, for this call only."""
    return _op(_IF_EQUAL, number, otherwise=len(block) // 8) + block


def _argument_checks(machine: _Machine) -> list[bytes]:
    checks = [
        _on_call(machine.clone, _deny_if(0, _IF_ANY_BIT, _NEW_NAMESPACES)),
        _on_call(machine.ioctl, _deny_if(1, _IF_EQUAL, _TIOCSTI, _TIOCLINUX)),
        _on_call(machine.mknodat, _deny_devices(2)),
        _on_call(machine.socket, _allow_socket()),
        _on_call(machine.socketpair, _allow_if(_UNIX) + _denied()),
    ]
    if machine.mknod is not None:
        checks.append(_on_call(machine.mknod, _deny_devices(1)))
    return checks


def _deny_if(argument: int, test: int, *values: int) -> bytes:
    tests = [_op(test, value, otherwise=1) + _denied() for value in values]
    return _low_word(argument) + b"".join(tests) + _answer(_ALLOW)


def _deny_devices(argument: int) -> bytes:
    tests = [_op(_IF_EQUAL, kind, otherwise=1) + _denied() for kind in (_BLOCK, _CHARACTER)]
    masked = _low_word(argument) + _op(_AND, _FORMAT)
    return masked + b"".join(tests) + _answer(_ALLOW)


def _allow_if(*families: int) -> bytes:
    tests = [_op(_IF_EQUAL, family, otherwise=1) + _answer(_ALLOW) for family in families]
    return _low_word(0) + b"".join(tests)


def _allow_socket() -> bytes:
    """Netlink for routes only: libc lists the machine's addresses with it."""
    routes = _low_word(2) + _op(_IF_EQUAL, _NETLINK_ROUTE, otherwise=1) + _answer(_ALLOW)
    netlink = _op(_IF_EQUAL, _NETLINK, otherwise=len(routes) // 8) + routes
    return _allow_if(_UNIX, _INET, _INET6) + netlink + _denied()
