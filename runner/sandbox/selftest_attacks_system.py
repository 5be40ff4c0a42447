"""The self-test's attacks on processes, resources, the kernel and terminals."""

from __future__ import annotations

from typing import Final

from runner.sandbox.contract import Limits
from runner.sandbox.selftest import Attack, Kind
from runner.sandbox.selftest_code import (
    FORKS,
    KEYRINGS,
    MEMORY,
    PRIORITIES,
    TEMPORARY,
    TERMINAL_INPUT,
    TRACE,
    UNUSUAL_CALLS,
)

_BWRAP: Final[frozenset[Kind]] = frozenset({"bubblewrap"})
_SHORT = Limits(timeout_s=0.5)

PROCESSES = (
    Attack(
        case="D06",
        name="list",
        title="see the machine's processes",
        script='[ ! -e "/proc/$NEIGHBOUR" ] || echo "ESCAPED /proc shows other processes"',
        held_by=_BWRAP,
    ),
    Attack(
        case="D06",
        name="environ",
        title="read the variables of all processes",
        script="cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep PLANLOCK_SELFTEST",
    ),
    Attack(
        case="D06",
        name="trace",
        title="trace another process, or open its memory",
        script=TRACE,
        in_python=True,
    ),
    Attack(
        case="D06",
        name="priority",
        title="slow another process down",
        script='renice -n 5 -p "$NEIGHBOUR"; prlimit --pid "$NEIGHBOUR" --nofile=64:64',
    ),
    Attack(case="D06", name="kill", title="end another process", script='kill -9 "$NEIGHBOUR"'),
    Attack(
        case="D06",
        name="priorities",
        title="slow every process of the user down",
        script=PRIORITIES,
        in_python=True,
        free="untried",
    ),
    Attack(
        case="D06",
        name="kill-all",
        title="end every process",
        script="kill -9 -1",
        free="untried",
    ),
    Attack(
        case="D07",
        name="daemon",
        title="leave a daemon behind",
        script='(setsid sh -c "setsid sleep $SURVIVOR &" &); sleep 0.2',
        free="depends",
    ),
    Attack(
        case="D07",
        name="stubborn",
        title="go on after the time limit, deaf to signals",
        script='trap "" TERM HUP INT; (trap "" TERM HUP INT; sleep "$SURVIVOR"); sleep "$SURVIVOR"',
        limits=_SHORT,
        free="nobody",
    ),
)
RESOURCES = (
    Attack(
        case="D08",
        name="processes",
        title="start more processes than allowed",
        script=FORKS,
        in_python=True,
        limits=Limits(timeout_s=15, processes=32),
        free="nobody",
    ),
    Attack(
        case="D08",
        name="memory",
        title="use more memory than allowed",
        script=MEMORY,
        in_python=True,
        limits=Limits(timeout_s=15, memory_bytes=160 << 20),
        free="nobody",
    ),
    Attack(
        case="D08",
        name="file",
        title="write a larger file than allowed",
        script='head -c 3000000 /dev/zero > big; [ "$(wc -c < big)" -lt 3000000 ] || echo ESCAPED',
        limits=Limits(timeout_s=15, file_bytes=1 << 20),
        free="nobody",
    ),
    Attack(
        case="D08",
        name="temporary",
        title="fill the disk by temporary files",
        script=TEMPORARY,
        in_python=True,
        held_by=_BWRAP,
        free="depends",
    ),
    Attack(
        case="D08",
        name="output",
        title="print more than is kept",
        script="head -c 3000000 /dev/zero",
        limits=Limits(timeout_s=15, output_bytes=10_000),
        free="nobody",
    ),
)
KERNEL = (
    Attack(
        case="D09",
        name="privileges",
        title="keep a privilege, or a way to gain one",
        script=(
            "grep -q 'NoNewPrivs:.1' /proc/self/status || echo ESCAPED sudo would work\n"
            "grep -q 'CapEff:.0*$' /proc/self/status || echo ESCAPED with capabilities"
        ),
    ),
    Attack(
        case="D09",
        name="namespaces",
        title="make namespaces of users and mounts",
        script="for n in user mount net; do unshare --$n true && echo ESCAPED $n; done",
        free="depends",
    ),
    Attack(
        case="D09",
        name="chroot",
        title="change the root folder",
        script="/usr/sbin/chroot / true && echo ESCAPED",
        free="root",
    ),
    Attack(
        case="D09",
        name="device",
        title="make a device",
        script="mknod null c 1 3",
        free="root",
    ),
    Attack(
        case="D09",
        name="suid",
        title="leave a program that runs as its owner",
        script="cp /bin/true program; chmod 4755 program",
    ),
    Attack(
        case="D09",
        name="keyrings",
        title="use the kernel's keyrings",
        script=KEYRINGS,
        in_python=True,
    ),
    Attack(
        case="D09",
        name="calls",
        title="call io_uring, bpf, perf, userfaultfd, fanotify",
        script=UNUSUAL_CALLS,
        in_python=True,
        free="depends",
    ),
    Attack(
        case="D09",
        name="mount",
        title="mount, and mount again as writable",
        script=(
            "mkdir m; mount -t tmpfs none m && echo ESCAPED mount\n"
            "mount -o remount,rw .git && echo ESCAPED remount"
        ),
        free="untried",
    ),
)
TERMINAL = (
    Attack(
        case="D10",
        name="own",
        title="open the terminal of who started it",
        script="exec 3<> /dev/tty && echo ESCAPED",
        free="nobody",
    ),
    Attack(
        case="D10",
        name="other",
        title="write to a terminal that is open elsewhere",
        script='echo x > "$TERMINAL"',
    ),
    Attack(
        case="D10",
        name="typing",
        title="type into a terminal (TIOCSTI)",
        script=TERMINAL_INPUT,
        in_python=True,
        free="depends",
    ),
)
