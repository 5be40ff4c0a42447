"""Plans side by side in processes; what they give comes in the order of the plans all the same."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from runner.core.errors import OutsideError

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST = 4


def count(items: int) -> int:
    """How many processes are of use; one where this one has threads, with which none may fork."""
    if threading.active_count() > 1 or not hasattr(os, "sched_getaffinity"):
        return 1
    return min(MOST, items, len(os.sched_getaffinity(0)))


def each(
    work: Callable[[Item], Result], items: Sequence[Item], *, processes: int
) -> Iterator[Result]:
    """Do the work for each item, in copies of this process; raises OutsideError where one dies."""
    context = get_context("fork")
    children = []
    for number in range(processes):
        here, there = context.Pipe(duplex=False)
        share = items[number::processes]
        child = context.Process(target=_work, args=(work, share, there), daemon=True)
        child.start()
        there.close()
        children.append((here, child))
    try:
        for place in range(len(items)):
            yield children[place % processes][0].recv()
    except EOFError as error:
        raise OutsideError("auditing: a process ended before it had told what it found") from error
    finally:
        for here, child in children:
            child.terminate()
            child.join()
            here.close()


def _work(work: Callable[[Item], Result], share: Sequence[Item], there: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this ends it
    for item in share:
        there.send(work(item))
