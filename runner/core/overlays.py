"""How an overlay marks what is gone: the kernel's own marks, of a mount with `userxattr`."""

from __future__ import annotations

import stat

# On a folder whose value is `y`, below which nothing of the lower layer shows.
OPAQUE = "user.overlay.opaque"


def is_whiteout(mode: int, device: int) -> bool:
    """Whether a file of this mode and device stands for a lower one that is gone."""
    return stat.S_ISCHR(mode) and device == 0
