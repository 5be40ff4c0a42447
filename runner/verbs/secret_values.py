"""The secrets that this runner holds: which a step may get, and which no record may show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.core.errors import Reason
from runner.core.plan import RunCommandInput, Step, typed_input
from runner.core.policy import Policy
from runner.core.redaction import SHORTEST_SUPPLIED, redact, redact_values, secrets_of
from runner.core.redaction_known import Known

_AT_ONCE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """`listed` are those of the policy that are set here, by name; `hidden` all that are known."""

    listed: Mapping[str, str] = field(repr=False)
    hidden: tuple[str, ...] = field(repr=False)

    def text(self, text: str) -> str:
        """The text without these secrets, and without what looks like one."""
        return redact(text, self.hidden).text

    def value(self, value: Any) -> Any:
        """The value of a document, each text in it without these secrets."""
        return redact_values(value, self.hidden)

    def name_in(self, content: bytes) -> str:
        """The name of a listed secret that is in the content in any form, else nothing."""
        return next((name for name, value in self._telling() if _holds(content, value)), "")

    def _telling(self) -> Iterable[tuple[str, str]]:
        return ((name, value) for name, value in self.listed.items() if not is_short(value))


def of(environment: Mapping[str, str], policy: Policy) -> Secrets:
    """What the policy lists, and what the names of variables say to be secret."""
    names = policy.sandbox.secrets
    listed = {name: environment[name] for name in names if environment.get(name)}
    hidden = dict.fromkeys([*listed.values(), *secrets_of(environment)])
    return Secrets(listed=listed, hidden=tuple(hidden))


def lacking(step: Step, environment: Mapping[str, str]) -> tuple[Reason, ...]:
    """Why a command cannot get the secrets that it asks for."""
    given = typed_input(step)
    names = given.secrets if isinstance(given, RunCommandInput) else []
    return tuple(reason for name in names for reason in _lacking(name, environment.get(name, "")))


def _lacking(name: str, value: str) -> Iterable[Reason]:
    if not value.strip():
        message = f"the command asks for the secret {name}, which is not set here"
        yield Reason(code="secret_missing", message=message, fix=f"export {name}=…")
    elif is_short(value):
        message = (
            f"the secret {name} is shorter than {SHORTEST_SUPPLIED} characters:"
            " it could not be told from other text"
        )
        yield Reason(code="secret_too_short", message=message, fix=f"make {name} a longer secret")


def is_short(value: str) -> bool:
    return len(value.strip()) < SHORTEST_SUPPLIED


def _holds(content: bytes, value: str) -> bool:
    known = Known([value])
    for at in range(0, len(content), _AT_ONCE):
        known.feed(content[at : at + _AT_ONCE])
        if known.found:
            return True
    known.finish()
    return known.found
