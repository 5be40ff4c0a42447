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
_SET_USER_ID = 0o4000
_CREATES = 0o100 | 0o20000000  # O_CREAT, O_TMPFILE
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

# Without namespaces of its own a command would meet the machine's memory segments and queues.
_DENIED_IF_SHARED: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # Landlock does not ask who changes the owner or the attributes of a file that lies outside.
    "chown": (92, None),
    "lchown": (94, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "inotify_add_watch": (254, 27),
}
# Calls whose argument at the given place names a process, 0 for the caller itself: any process
# of the same user could be meant.
_OWN_PROCESS_ONLY: dict[str, tuple[int, int, int]] = {
    "prlimit64": (302, 261, 0),
    "sched_setparam": (142, 118, 0),
    "sched_setscheduler": (144, 119, 0),
    "sched_setaffinity": (203, 122, 0),
    "sched_setattr": (314, 274, 0),
    "migrate_pages": (256, 238, 0),
    "move_pages": (279, 239, 0),
}
# The same, behind a number that has to say that a process is meant, not all of a user.
_OWN_PRIORITY_ONLY: dict[str, tuple[int, int, int]] = {
    "setpriority": (141, 140, 0),
    "ioprio_set": (251, 30, 1),
}
_STREAM, _SEQPACKET, _SOCKET_KIND = 1, 5, 0xF


@dataclass(frozen=True, kw_only=True)
class _Machine:
    audit: int
    column: int
    clone: int
    clone3: int
    ioctl: int
    # Calls that take a mode, with the position of it.
    chmod: tuple[tuple[int, int], ...]
    # Calls that may create a file, with the positions of flags and mode.
    open: tuple[tuple[int, int, int], ...]
    openat2: int
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
        chmod=((90, 1), (91, 1), (268, 2), (452, 2), (85, 1)),
        open=((2, 1, 2), (257, 2, 3)),
        openat2=437,
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
        chmod=((52, 1), (53, 2), (452, 2)),
        open=((56, 2, 3),),
        openat2=437,
        socket=198,
        socketpair=199,
        mknodat=33,
        mknod=None,
    ),
}


def program(machine: str | None = None, *, own_namespaces: bool = True) -> bytes:
    """An array of struct sock_filter; raises SandboxUnavailable for an unknown machine.

    Without namespaces of its own a command gets no socket but connected pairs, and no call that
    could reach another process or the machine's shared memory.
    """
    name = machine or platform.machine()
    if name not in _MACHINES:
        raise SandboxUnavailable(f"confining a command: no system-call filter for {name}")
    known = _MACHINES[name]
    shared = [] if own_namespaces else _shared_checks(known)
    denials = [*shared, *_denials(known), *_argument_checks(known)]
    return b"".join([_entry(known), *denials, _answer(_ALLOW)])


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


def _shared_checks(machine: _Machine) -> list[bytes]:
    """These come first: the first answer for a call counts."""
    own = [
        _on_call(call[machine.column], _allow_own_process(call[2]))
        for call in _OWN_PROCESS_ONLY.values()
    ]
    priorities = [
        _on_call(call[machine.column], _allow_own_priority(call[2]))
        for call in _OWN_PRIORITY_ONLY.values()
    ]
    return [
        *_all_denied(machine, _DENIED_IF_SHARED),
        *own,
        *priorities,
        _on_call(machine.socketpair, _allow_connected_pair()),
    ]


def _all_denied(machine: _Machine, calls: dict[str, tuple[int | None, int | None]]) -> list[bytes]:
    numbers = [pair[machine.column] for pair in calls.values()]
    return [_on_call(number, _denied()) for number in numbers if number is not None]


def _denials(machine: _Machine) -> list[bytes]:
    denied = _all_denied(machine, _DENIED)
    # Programs fall back to clone and openat, whose arguments a filter can read.
    in_memory = (machine.clone3, machine.openat2)
    return [*denied, *(_on_call(number, _denied(errno.ENOSYS)) for number in in_memory)]


def _on_call(number: int, block: bytes) -> bytes:
    """Runs the block, which must end in an answer, for this call only."""
    return _op(_IF_EQUAL, number, otherwise=len(block) // 8) + block


def _argument_checks(machine: _Machine) -> list[bytes]:
    checks = [
        _on_call(machine.clone, _deny_if(0, _IF_ANY_BIT, _NEW_NAMESPACES)),
        _on_call(machine.ioctl, _deny_if(1, _IF_EQUAL, _TIOCSTI, _TIOCLINUX)),
        *(_on_call(number, _deny_suid(mode)) for number, mode in machine.chmod),
        *(_on_call(number, _deny_new_suid(*at)) for number, *at in machine.open),
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


def _deny_suid(mode: int) -> bytes:
    return _deny_if(mode, _IF_ANY_BIT, _SET_USER_ID)


def _deny_new_suid(flags: int, mode: int) -> bytes:
    """Without the flags that create a file, the mode is whatever was in the register."""
    creates = _low_word(mode) + _op(_IF_ANY_BIT, _SET_USER_ID, otherwise=1) + _denied()
    test = _op(_IF_ANY_BIT, _CREATES, otherwise=len(creates) // 8)
    return _low_word(flags) + test + creates + _answer(_ALLOW)


def _deny_devices(argument: int) -> bytes:
    tests = [_op(_IF_EQUAL, kind, otherwise=1) + _denied() for kind in (_BLOCK, _CHARACTER)]
    suid = _low_word(argument) + _op(_IF_ANY_BIT, _SET_USER_ID, otherwise=1) + _denied()
    masked = suid + _op(_AND, _FORMAT)
    return masked + b"".join(tests) + _answer(_ALLOW)


def _allow_if(*families: int) -> bytes:
    tests = [_op(_IF_EQUAL, family, otherwise=1) + _answer(_ALLOW) for family in families]
    return _low_word(0) + b"".join(tests)


def _allow_own_process(argument: int) -> bytes:
    return _low_word(argument) + _op(_IF_EQUAL, 0, otherwise=1) + _answer(_ALLOW) + _denied()


def _allow_own_priority(process: int) -> bytes:
    of_process = _op(_IF_EQUAL, process, then=1) + _denied()
    return _low_word(0) + of_process + _allow_own_process(1)


def _allow_connected_pair() -> bytes:
    """A pair for datagrams could be connected again, to a socket of the machine."""
    tests = [_op(_IF_EQUAL, kind, otherwise=1) + _answer(_ALLOW) for kind in (_STREAM, _SEQPACKET)]
    pair = _low_word(1) + _op(_AND, _SOCKET_KIND) + b"".join(tests) + _denied()
    unix = _op(_IF_EQUAL, _UNIX, otherwise=len(pair) // 8) + pair
    return _low_word(0) + unix + _denied()


def _allow_socket() -> bytes:
    """Netlink for routes only: libc lists the machine's addresses with it."""
    routes = _low_word(2) + _op(_IF_EQUAL, _NETLINK_ROUTE, otherwise=1) + _answer(_ALLOW)
    netlink = _op(_IF_EQUAL, _NETLINK, otherwise=len(routes) // 8) + routes
    return _allow_if(_UNIX, _INET, _INET6) + netlink + _denied()
