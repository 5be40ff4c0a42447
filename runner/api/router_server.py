"""Runs the router's app under uvicorn until a signal ends it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors.multiprocess import Multiprocess

from runner.api import metrics, router_app
from runner.core.errors import OutsideError
from runner.project import real_world
from runner.verbs import router
from runner.verbs.router import Access
from runner.verbs.router_budgets import Budgets

STOP_S = 10
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a worker process needs to build its app."""

    access: Access
    budgets: Budgets
    calls: int = 64


def serve(
    options: Options, listening: socket.socket, *, workers: int, told: Callable[[], None]
) -> None:
    """Answer until SIGINT or SIGTERM; `told` is called when everything is open.

    Raises what `open_service` raises.
    """
    if workers > 1:
        _serve_many(options, listening, workers=workers, told=told)
        return
    server = uvicorn.Server(config(make_app(options)))

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    for each in _SIGNALS:  # uvicorn raises a signal again after it stopped: these end nothing
        signal.signal(each, stop)
    told()
    server.run([listening])


def _serve_many(
    options: Options, listening: socket.socket, *, workers: int, told: Callable[[], None]
) -> None:
    """Let each worker open its own router, after one look at whether that works."""
    router.open_service(real_world(), options.budgets).close()
    with tempfile.TemporaryDirectory(prefix="planlock-metrics-") as folder:
        os.environ[metrics.SHARED_FOLDER] = folder
        settings = config(partial(make_app, options), workers=workers)
        told()
        Multiprocess(settings, [listening]).run()


def make_app(options: Options) -> FastAPI:
    """Open the router of this process's environment, and build the app on it."""
    _log_to_stderr()
    warn = router_app.LOG.warning
    service = router.open_service(real_world(), options.budgets, warn=warn)
    bounds = router_app.Bounds(calls=options.calls)
    return router_app.create(service, access=options.access, bounds=bounds)


def config(
    app: FastAPI | Callable[[], FastAPI], *, workers: int = 1, stop_s: int = STOP_S
) -> uvicorn.Config:
    """Let uvicorn log warnings only: its lines of access hold what clients send."""
    return uvicorn.Config(
        app,
        factory=not isinstance(app, FastAPI),
        workers=workers,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=stop_s,
    )


def listen(host: str, port: int) -> socket.socket:
    """Take the port; raises OutsideError where that is not possible."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off, which delays answers, where it sees this protocol
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        message = f"listening on {where}: {error.strerror or error}"
        raise OutsideError(message, hint="planlock router serve --port OTHER") from error
    listening.set_inheritable(True)
    return listening


def url(listening: socket.socket) -> str:
    """Write where clients find it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name in ("planlock.router", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
    logging.getLogger("planlock.router").setLevel(logging.INFO)
