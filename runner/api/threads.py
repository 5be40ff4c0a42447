"""Synchronous calls below an asynchronous server: a thread each, and a bound on their number."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


class Busy(Exception):
    """As many calls run as may run at once."""


class Threads:
    """Runs each call in a thread of its own, at most `most` at a time.

    The threads are daemons: a model that never answers does not keep the process from ending.
    """

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)

    async def run(self, act: Callable[[], _T], *, timeout_s: float) -> _T:
        """Wait for a call; raises Busy at once, or TimeoutError while the call goes on."""
        if not self._free.acquire(blocking=False):
            raise Busy
        outcome: Future[_T] = Future()
        outcome.set_running_or_notify_cancel()  # so that nobody who stops waiting can cancel it
        threading.Thread(target=self._run, args=(act, outcome), daemon=True).start()
        return await asyncio.wait_for(asyncio.wrap_future(outcome), timeout_s)

    def _run(self, act: Callable[[], _T], outcome: Future[_T]) -> None:
        try:
            answer = act()
        except BaseException as error:  # noqa: BLE001  # it is raised where the call is awaited
            self._free.release()
            outcome.set_exception(error)
        else:
            self._free.release()
            outcome.set_result(answer)
