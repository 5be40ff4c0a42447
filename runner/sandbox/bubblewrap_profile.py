"""The AppArmor profile that lets bwrap alone make user namespaces, where AppArmor keeps them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from runner.core.errors import SandboxUnavailable

RESTRICTION = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_FILE = "/etc/apparmor.d/planlock-bwrap"
HINT = f"planlock doctor --apparmor-profile | sudo tee {_FILE} && sudo apparmor_parser --replace {_FILE}"
# Others would need quotes, or be patterns that name more than this one program.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._+-]+")
_TEXT = """\
# bubblewrap makes a user namespace, in which it takes rights away from what it starts.
abi <abi/4.0>,
include <tunables/global>

profile planlock-bwrap {program} flags=(unconfined) {{
  userns,
}}
"""


def hint() -> str:
    """What to type where AppArmor keeps bwrap from confining; empty elsewhere."""
    restricted = RESTRICTION.exists() and RESTRICTION.read_text(encoding="ascii").strip() == "1"
    return HINT if restricted else ""


def profile(program: str = "bwrap") -> str:
    """Write the profile of the program that would confine commands here."""
    found = shutil.which(program)
    if found is None:
        raise SandboxUnavailable(
            f"writing an AppArmor profile: {program} is not installed",
            hint="sudo apt-get install bubblewrap",
        )
    # AppArmor knows a program by the file that is run, not by links to it.
    path = str(Path(found).resolve())
    if not _PLAIN_PATH.fullmatch(path):
        raise SandboxUnavailable(
            f"writing an AppArmor profile: {path} would not be read as one path",
            hint="sudo apt-get install bubblewrap",
        )
    return _TEXT.format(program=path)
