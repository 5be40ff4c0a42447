"""Whether the same model is asked once more after a failure, and after how long a wait.

Exponential with full jitter, so that many callers do not come back at the same moment; a provider
that says when to come back is heeded, unless another model is the faster way.
"""

from __future__ import annotations

from typing import Final

from runner.models.contract import Failure, FailureKind

FIRST_S: Final = 0.5
LONGEST_S: Final = 20.0
MOST_RETRY_AFTER_S: Final = 60.0
_AS_CONFIGURED: Final[frozenset[FailureKind]] = frozenset(
    {"rate_limited", "unavailable", "timeout"}
)
# Nobody listens there, or it speaks something else: that may be a restart, but rarely is.
_ONCE: Final[frozenset[FailureKind]] = frozenset({"unreachable", "malformed"})


def pause(
    failure: Failure, *, made: int, retries: int, left_s: float, chance: float
) -> float | None:
    """Seconds to wait before the next try; None where there is none.

    `made` counts the retries so far, `left_s` is the time that the call still has, `chance` lies
    in [0, 1).
    """
    if made >= _allowed(failure.kind, retries):
        return None
    wait = chance * min(LONGEST_S, FIRST_S * 2**made)
    if failure.retry_after_s is not None:
        if failure.retry_after_s > MOST_RETRY_AFTER_S:
            return None
        wait = max(wait, failure.retry_after_s)
    return wait if wait < left_s else None


def _allowed(kind: FailureKind, retries: int) -> int:
    if kind in _AS_CONFIGURED:
        return retries
    return min(1, retries) if kind in _ONCE else 0
