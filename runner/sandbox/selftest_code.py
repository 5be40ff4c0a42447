"""Attacks that a shell cannot do, as programs for the interpreter inside."""

from __future__ import annotations

DESCRIPTORS = """
import os
for number in range(3, 256):
    try:
        print(number, os.pread(number, 200, 0))
    except OSError:
        pass
"""

CONNECT = """
import os, socket
socket.socket(socket.AF_UNIX).connect({place})
"""

OTHER_SOCKETS = """
import socket
kinds = dict(packet=(17, 3, 0), vsock=(40, 1, 0), crypto=(38, 5, 0), audit=(16, 3, 9))
for name, kind in kinds.items():
    try:
        socket.socket(*kind)
        print("ESCAPED", name)
    except OSError:
        pass
"""

# Where it is the machine's own, the segment is taken away at once.
SHARED_MEMORY = """
import ctypes, os
libc = ctypes.CDLL(None)
segment = libc.shmget(0, 4096, 0o1600)
owner = os.stat("/proc/self/ns/ipc").st_ino
if segment >= 0:
    libc.shmctl(segment, 0, None)
    if owner == int(os.environ["IPC"]):
        print("ESCAPED")
"""

# A proxy answers 200 only when it is connected; the scene's service tells of it as well.
ASK_PROXY = """
import os, socket, urllib.parse
proxy = urllib.parse.urlsplit(os.environ.get("HTTPS_PROXY", ""))
port = os.environ["TCP"]
names = ["127.0.0.1", "localhost", "LOCALHOST.", "127.1", "2130706433", "0x7f000001", "0",
         "[::1]", "[::ffff:127.0.0.1]", "selftest.invalid@127.0.0.1"]
for name in names:
    try:
        if not proxy.hostname:
            socket.create_connection(("127.0.0.1", int(port)), timeout=2)
            continue
        with socket.create_connection((proxy.hostname, proxy.port), timeout=2) as to:
            to.sendall(f"CONNECT {name}:{port} HTTP/1.1\\r\\nHost: {name}:{port}\\r\\n\\r\\n".encode())
            if b" 200 " in to.recv(200)[:20]:
                print("ESCAPED", name)
    except OSError:
        pass
"""

TRACE = """
import ctypes, os
pid = int(os.environ["NEIGHBOUR"])
seize, detach = 0x4206, 17
libc = ctypes.CDLL(None)
if libc.ptrace(seize, pid, None, None) == 0:
    libc.ptrace(detach, pid, None, None)
    print("ESCAPED ptrace")
for name in ("mem", "maps", "environ"):
    try:
        if open(f"/proc/{pid}/{name}", "rb").read(1 if name != "mem" else 0) != b"" or name == "mem":
            print("ESCAPED", name)
    except OSError:
        pass
"""

# Bounded, whatever holds or does not: two hundred that sleep for a moment.
FORKS = """
import os, sys, time
for number in range(200):
    try:
        pid = os.fork()
    except OSError as error:
        sys.exit(f"denied at {number}: {error}")
    if not pid:
        time.sleep(1)
        os._exit(0)
    time.sleep(0.002)
time.sleep(0.3)
print("ESCAPED with 200 processes")
"""

# Six times 50 MB, for a moment.
MEMORY = """
import os, sys, time
def take():
    try:
        block = bytearray(os.urandom(4096) * 12800)
        time.sleep(0.7)
        os._exit(0 if block else 1)
    except MemoryError:
        os._exit(1)
pids = []
for _ in range(6):
    pids.append(os.fork() or take())
if all(os.waitpid(pid, 0)[1] == 0 for pid in pids):
    print("ESCAPED with 300 MB")
"""

TEMPORARY = """
import os, tempfile
for place in {os.environ["TMPDIR"], os.environ["HOME"], "/tmp", "/var/tmp", "/dev/shm", "/run"}:
    try:
        with tempfile.NamedTemporaryFile(dir=place):
            size = os.statvfs(place)
    except OSError:
        continue
    if size.f_frsize * size.f_bavail > 1 << 30:
        print("ESCAPED over 1 GB free in", place)
"""

# A number of 0 means all processes of the user here.
PRIORITIES = """
import ctypes, os, platform
try:
    os.setpriority(os.PRIO_USER, 0, 19)
except OSError:
    pass
ctypes.CDLL(None).syscall(251 if platform.machine() == "x86_64" else 30, 3, 0, 2 << 13 | 7)
"""

_REFUSED = """
import ctypes, errno, platform
libc = ctypes.CDLL(None, use_errno=True)
column = 0 if platform.machine() == "x86_64" else 1
def reached(numbers, *arguments):
    ctypes.set_errno(0)
    libc.syscall(numbers[column], *(arguments or (0, 0, 0, 0, 0, 0)))
    return ctypes.get_errno() not in (errno.EPERM, errno.EACCES, errno.ENOSYS)
"""

KEYRINGS = f"""{_REFUSED}
if reached((250, 219), 0, -3, 0, 0, 0):
    print("ESCAPED")
"""

UNUSUAL_CALLS = f"""{_REFUSED}
calls = dict(io_uring=(425, 425), bpf=(321, 280), perf=(298, 241), userfaultfd=(323, 282),
             handles=(304, 265), fanotify=(300, 262), pidfd_getfd=(438, 438))
for name, numbers in calls.items():
    if reached(numbers):
        print("ESCAPED", name)
"""

TERMINAL_INPUT = """
import errno, fcntl, os
ours, theirs = os.openpty()
try:
    fcntl.ioctl(theirs, 0x5412, b"x")
    print("ESCAPED")
except OSError as error:
    if error.errno not in (errno.EPERM, errno.EACCES):
        print("ESCAPED the kernel answered", errno.errorcode[error.errno])
"""
