"""A router behind HTTP that says what a test tells it to, however wrong that is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class OddRouter:
    """`replies` are (status, body) in the order of the calls; `asked` are the requests' bodies."""

    replies: list[tuple[int, bytes]]
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(*replies: tuple[int, bytes]) -> Iterator[OddRouter]:
    told = OddRouter(list(replies))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            told.asked.append(json.loads(self.rfile.read(length)))
            status, body = told.replies.pop(0)
            self.send_response(status)
            kind = "application/json" if status == 200 else "application/problem+json"
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(cost: str | None = "0.01", text: str = "An answer.") -> tuple[int, bytes]:
    """An answer as the router gives it, whatever it is said to have cost."""
    price = {"amount": cost, "status": "unknown" if cost is None else "computed"}
    usage = {"input_tokens": 100, "output_tokens": 10, "source": "provider"}
    attempt = {
        "n": 1,
        "provider": "far",
        "model": "small-1",
        "status": "ok",
        "usage": usage,
        "cost": price,
        "latency_ms": 3,
    }
    value = {
        "id": "01JDA7Q4Z0M5W8K2N3P6R9T1V0",
        "text": text,
        "finish_reason": "stop",
        "route": {
            "provider": "far",
            "requested_model": None,
            "response_model": "small-1",
            "reason": "the only model",
        },
        "attempts": [attempt],
        "usage": usage,
        "cost": price,
        "cache": {"status": "miss", "key": "sha256:" + "0" * 64},
        "latency_ms": 3,
    }
    return 200, json.dumps(value).encode()


def refusal(status: int, code: str, *, attempts: bool = False) -> tuple[int, bytes]:
    """A problem document; with `attempts` it tells one that cost 0.02 USD."""
    made = json.loads(answer("0.02")[1])["attempts"] if attempts else []
    error = {"code": code, "message": f"asking far/small-1: {code}", "hint": "", "attempts": made}
    return status, json.dumps({"error": error}).encode()
