"""Answers as they come: server-sent events with pieces of text, then the answer or its error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine

from starlette.responses import Response, StreamingResponse

from runner.api import problems
from runner.api.problems import HttpRefusal
from runner.core.model_call import Answer

OnText = Callable[[str], None]
EVENTS = "text/event-stream"
Outcome = Answer | HttpRefusal
# What goes on after its client hung up must be held by somebody.
_running: set[asyncio.Task[Outcome]] = set()


def plain(outcome: Outcome) -> Response:
    """Answer in one piece, by the status that belongs to it."""
    if isinstance(outcome, HttpRefusal):
        return problems.respond(outcome)
    return Response(outcome.model_dump_json(), media_type="application/json")


async def respond(ended: Callable[[OnText | None], Coroutine[None, None, Outcome]]) -> Response:
    """Stream from the first piece on; what ends without any is answered in one piece."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[str | None] = asyncio.Queue()

    def hear(text: str) -> None:
        loop.call_soon_threadsafe(pieces.put_nowait, text)

    task = asyncio.create_task(ended(hear))
    _running.add(task)
    task.add_done_callback(_running.discard)
    task.add_done_callback(lambda _: pieces.put_nowait(None))
    first = await pieces.get()
    if first is None:
        return plain(await task)
    headers = {"cache-control": "no-store"}
    return StreamingResponse(_events(first, pieces, task), media_type=EVENTS, headers=headers)


async def _events(
    first: str, pieces: asyncio.Queue[str | None], task: asyncio.Task[Outcome]
) -> AsyncIterator[bytes]:
    piece: str | None = first
    while piece is not None:
        yield _event(json.dumps({"text": piece}))
        piece = await pieces.get()
    outcome = await task
    if isinstance(outcome, HttpRefusal):
        yield _event(f'{{"problem": {problems.document(outcome).model_dump_json()}}}')
    else:
        yield _event(f'{{"answer": {outcome.model_dump_json()}}}')


def _event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()
