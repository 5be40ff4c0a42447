"""`router serve`: the router of this machine's environment, outside of any repository."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from runner import schemas, settings
from runner.core.errors import UsageError
from runner.core.model_call import Answer, Request, StructureRequest
from runner.models import setup
from runner.models.contract import Models, OnText, Purse
from runner.models.discovery import DiscoveringRouter
from runner.project import World
from runner.verbs.router_budgets import Budgets, SharedBudgets

_SENDABLE: Final = re.compile(r"[!-~]{16,}")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_ANY: Final = ("0.0.0.0", "::")  # noqa: S104  # only compared with


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may ask: with the token if there is one, under these names; None for any name."""

    token: str | None
    hosts: frozenset[str] | None


def access(host: str, environment: Mapping[str, str], *, names: Sequence[str] = ()) -> Access:
    """Decide who may ask a service that listens on `host`; raises UsageError without a token.

    On loopback a page of the web could reach the service by a name that it makes resolve there,
    so names count; elsewhere the token keeps everybody out, and names count where they are known.
    """
    token = environment.get(setup.TOKEN_VARIABLE) or None
    hint = f"export {setup.TOKEN_VARIABLE}=$(openssl rand -hex 32)"
    if token is None and not _is_loopback(host):
        message = f"listening on {host}: others can reach it, so it needs a token"
        raise UsageError(message, hint=hint)
    if token is not None and not _SENDABLE.fullmatch(token):
        message = f"reading {setup.TOKEN_VARIABLE}: it needs 16 or more printable ASCII characters"
        raise UsageError(message, hint=hint)
    own = {*_LOOPBACK, host, *names} | (set() if _is_loopback(host) else {socket.gethostname()})
    hosts = frozenset(name.lower() for name in own)
    return Access(token=token, hosts=None if host in _ANY and not names else hosts)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, kw_only=True)
class Service:
    """The router with the budgets that all its callers share."""

    models: Models
    budgets: SharedBudgets

    def complete(self, request: Request, on_text: OnText | None = None) -> Answer:
        """Give a text; raises ModelError."""
        return self.models.complete(request, purse=self._purse(request), on_text=on_text)

    def structure(self, request: StructureRequest, on_text: OnText | None = None) -> Answer:
        """Give data that satisfies the schema; raises ModelError."""
        return self.models.structure(request, purse=self._purse(request), on_text=on_text)

    def _purse(self, request: Request) -> Purse | None:
        return self.budgets.purse(request.context.project)

    def lacking(self) -> str:
        """Say why no call can be answered; empty where a model is configured."""
        models = self.models
        if not isinstance(models, DiscoveringRouter):
            return ""
        providers = models.providers.values()
        if any(not isinstance(each, setup.Unset) for each in providers):
            return ""
        reasons = "; ".join(each.reason for each in providers if isinstance(each, setup.Unset))
        return reasons or "no model is configured"

    def close(self) -> None:
        self.models.close()
        self.budgets.close()


def budgets(day_usd: str | None, project_usd: str | None) -> Budgets:
    """Read the service's budgets as they are written in files."""
    return Budgets(
        day_usd=None if day_usd is None else Decimal(day_usd),
        project_usd=None if project_usd is None else Decimal(project_usd),
    )


def open_service(
    world: World, budgets: Budgets, *, warn: Callable[[str], None] = lambda _: None
) -> Service:
    """Open the router; raises UsageError, InvalidDocument, FileAccessError or LedgerError."""
    folder = store_folder(world.environment)
    models = setup.open_models(
        _sources(world),
        store=folder,
        clock=setup.clock(
            now=world.now, random=world.random, monotonic=world.monotonic, sleep=world.sleep
        ),
    )
    return Service(models=models, budgets=SharedBudgets(world, budgets, folder=folder, warn=warn))


def _sources(world: World) -> setup.Sources:
    told = settings.load_models(world.environment, ())
    if told.router_url is not None:
        message = f"opening the router: PLANLOCK_ROUTER_URL is {told.router_url}, another router"
        raise UsageError(message, hint="unset PLANLOCK_ROUTER_URL")
    return setup.Sources(
        file=told.file,
        url=told.url,
        script=settings.load(world.environment, {}).model_script,
        environment=world.environment,
        schema=schemas.load("models"),
    )


def store_folder(environment: Mapping[str, str]) -> Path:
    """Name the folder of requests and answers: as set, else among the user's state."""
    told = settings.load(environment, {})
    if told.model_store is not None:
        return told.model_store
    state = environment.get("XDG_STATE_HOME", "")
    # the XDG specification has relative paths ignored
    base = Path(state) if state.startswith("/") else told.user_home / ".local" / "state"
    return base / "planlock" / "models"
