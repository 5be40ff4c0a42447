"""The attacks of the self-test, in their order; what would do harm outside comes last in its case."""

from __future__ import annotations

from typing import Final

from runner.sandbox.selftest import Attack, Kind
from runner.sandbox.selftest_attacks_system import KERNEL, PROCESSES, RESOURCES, TERMINAL
from runner.sandbox.selftest_code import (
    ASK_PROXY,
    CONNECT,
    DESCRIPTORS,
    OTHER_SOCKETS,
    SHARED_MEMORY,
)

_BWRAP: Final[frozenset[Kind]] = frozenset({"bubblewrap"})

_FILES = (
    Attack(
        case="D01",
        name="write",
        title="write, create and delete files outside",
        script='echo x > "$VICTIM/file"; touch "$VICTIM/new"; rm -f "$VICTIM/file"',
    ),
    Attack(
        case="D01",
        name="mode",
        title="change mode and times of a file outside",
        script='chmod 777 "$VICTIM/file"; touch "$VICTIM/file"',
        held_by=_BWRAP,
    ),
    Attack(
        case="D01",
        name="symlink",
        title="write through a symbolic link",
        script='ln -s "$VICTIM" out; echo x > out/file; ln -s ../victim up; touch up/new',
    ),
    Attack(
        case="D01",
        name="hardlink",
        title="write through a hard link",
        script='ln "$VICTIM/file" hard && echo x > hard',
    ),
    Attack(
        case="D01",
        name="proc-root",
        title="write through another process's /proc entry",
        script=(
            'for p in "$NEIGHBOUR" self "$PPID" 1; do'
            ' echo x > "/proc/$p/root$VICTIM/file"; done\n'
            'touch "/proc/$NEIGHBOUR/cwd/new"'
        ),
    ),
    Attack(
        case="D01",
        name="system",
        title="open system files for writing",
        script='for f in /etc/passwd /usr/bin/env /bin/sh; do : >> "$f" && echo "ESCAPED $f"; done',
        free="root",
    ),
    Attack(
        case="D01",
        name="kernel",
        title="open the kernel's settings for writing",
        script=(
            "for f in core_pattern modprobe hostname; do"
            ' : >> "/proc/sys/kernel/$f" && echo "ESCAPED $f"; done'
        ),
        free="root",
    ),
    Attack(
        case="D02",
        name="git-write",
        title="write git's configuration and hooks",
        script="echo x > .git/config; echo x > .git/hooks/sample; echo x > .git/hooks/pre-commit",
        held_by=_BWRAP,
    ),
    Attack(
        case="D02",
        name="git-replace",
        title="put another repository in its place",
        script="mv .git away; rm -rf .git; mkdir -p .git; echo x > .git/config",
        held_by=_BWRAP,
    ),
    Attack(
        case="D02",
        name="plans",
        title="write the policy",
        script="echo x > plans/policy.yaml; mv plans away",
        held_by=_BWRAP,
    ),
)
_SECRETS = (
    Attack(
        case="D03",
        name="file",
        title="read its owner's private files",
        script='cat "$VICTIM/file" "/proc/$NEIGHBOUR/cwd/file" "/proc/$NEIGHBOUR/root$VICTIM/file"',
    ),
    Attack(
        case="D03",
        name="shadow",
        title="read the system's passwords",
        script='[ -z "$(head -c 1 /etc/shadow)" ] || echo "ESCAPED /etc/shadow was read"',
        free="root",
    ),
    Attack(
        case="D12",
        name="variables",
        title="find the runner's own variables",
        script="env; cat /proc/self/environ",
        free="nobody",
    ),
    Attack(
        case="D12",
        name="descriptors",
        title="read a file that the runner has open",
        script=DESCRIPTORS,
        in_python=True,
        free="nobody",
    ),
)
_SOCKETS = (
    Attack(
        case="D04",
        name="tcp",
        title="reach a TCP service of the machine",
        script='exec 3<>"/dev/tcp/127.0.0.1/$TCP"; echo x >&3',
    ),
    Attack(
        case="D04",
        name="udp",
        title="reach a UDP service of the machine",
        script='exec 3<>"/dev/udp/127.0.0.1/$UDP"; echo x >&3',
    ),
    Attack(
        case="D04",
        name="unix",
        title="reach a socket in a folder, as docker's is",
        script=CONNECT.format(place='os.environ["UNIX"]'),
        in_python=True,
    ),
    Attack(
        case="D04",
        name="abstract",
        title="reach an abstract socket",
        script=CONNECT.format(place='"\\0" + os.environ["ABSTRACT"]'),
        in_python=True,
    ),
    Attack(
        case="D04",
        name="families",
        title="make packet, vsock, crypto and audit sockets",
        script=OTHER_SOCKETS,
        in_python=True,
        free="depends",
    ),
    Attack(
        case="D04",
        name="shared-memory",
        title="share memory with all of the machine",
        script=SHARED_MEMORY,
        in_python=True,
    ),
    Attack(
        case="D05",
        name="proxy",
        title="have the proxy connect to the machine itself",
        script=ASK_PROXY,
        in_python=True,
        network=("selftest.invalid:443",),
        held_by=_BWRAP,
    ),
    Attack(
        case="D05",
        name="past-proxy",
        title="reach services past the proxy",
        script=(
            'exec 3<>"/dev/tcp/127.0.0.1/$TCP"; echo x >&3\n'
            'exec 4<>"/dev/udp/127.0.0.1/$UDP"; echo x >&4'
        ),
        network=("selftest.invalid:443",),
        held_by=_BWRAP,
    ),
)
_ALL = (*_FILES, *_SECRETS, *_SOCKETS, *PROCESSES, *RESOURCES, *KERNEL, *TERMINAL)
ATTACKS = tuple(sorted(_ALL, key=lambda each: each.case))
