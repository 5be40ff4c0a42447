"""`router`: the model router as a service."""

from __future__ import annotations

import os

import click

from runner.cli import options, render
from runner.core.errors import ToolNotFound

_EXTRA = {"fastapi", "uvicorn", "starlette", "prometheus_client"}
_usd = options.pattern(r"[0-9]{1,9}(\.[0-9]{1,9})?", "5.00")


@click.group()
def router() -> None:
    """Ask language models through a service that several programs share."""


@router.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that answer.",
)
@click.option(
    "--calls",
    type=click.IntRange(1, 1000),
    default=64,
    show_default=True,
    help="Calls at once in a process; more are told to come again.",
)
@click.option("--day-usd", type=_usd, help="USD that all callers may spend in a day (UTC).")
@click.option("--project-usd", type=_usd, help="The same for each `context.project`.")
@click.option("--allowed-host", "names", multiple=True, help="Another name of this service.")
def serve(  # noqa: PLR0913  # one parameter per option
    *,
    host: str,
    port: int,
    workers: int,
    calls: int,
    day_usd: str | None,
    project_usd: str | None,
    names: tuple[str, ...],
) -> None:
    """Answer `POST /v1/complete` and `POST /v1/structure` until Ctrl-C; `/docs` explains them."""
    from runner.verbs import router as verb

    access = verb.access(host, os.environ, names=names)
    try:
        from runner.api import router_server
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        message = f"starting the service: the package {error.name} is not installed"
        raise ToolNotFound(message, hint="pip install 'planlock[server]'") from error
    settings = router_server.Options(
        access=access, budgets=verb.budgets(day_usd, project_usd), calls=calls
    )
    with router_server.listen(host, port) as listening:
        url = router_server.url(listening)
        router_server.serve(
            settings,
            listening,
            workers=workers,
            told=lambda: render.talk(f"serving on {url} (docs at {url}/docs); Ctrl-C stops"),
        )
