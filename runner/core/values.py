"""The small value types that plans, policies, approvals and records share."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

DIGEST = r"^sha256:[0-9a-f]{64}$"
OBJECT_ID = r"^([0-9a-f]{40}|[0-9a-f]{64})$"
PLAN_ID = r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$"
PRINCIPAL = r"^[^\s,\"*?!#]{1,200}$"
TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"
USD = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"
DURATION = r"^[1-9][0-9]{0,4}[mhd]$"
STEP_TYPE = r"^[a-z][a-z0-9_]{0,63}$"


@lru_cache(maxsize=4096)
def parse_time(text: str) -> datetime:
    """Read `2026-11-22T10:00:00Z`; raises ValueError for anything else."""
    if not re.fullmatch(TIMESTAMP, text):
        raise ValueError(f"{text!r} is no time like 2026-11-22T10:00:00Z")
    return datetime.fromisoformat(text)


def time_text(moment: datetime) -> str:
    """Write a moment as `2026-11-22T10:00:00Z`, to the second, in UTC."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


@lru_cache(maxsize=256)
def parse_duration(text: str) -> timedelta:
    """Read `90m`, `12h` or `7d`."""
    unit = {"m": "minutes", "h": "hours", "d": "days"}[text[-1]]
    return timedelta(**{unit: int(text[:-1])})


def _real_time(text: str) -> str:
    parse_time(text)
    return text


Digest = Annotated[str, StringConstraints(pattern=DIGEST)]
ObjectId = Annotated[str, StringConstraints(pattern=OBJECT_ID)]
Name = Annotated[str, StringConstraints(pattern=PLAN_ID)]
Principal = Annotated[str, StringConstraints(pattern=PRINCIPAL)]
Timestamp = Annotated[str, StringConstraints(pattern=TIMESTAMP), AfterValidator(_real_time)]
Usd = Annotated[str, StringConstraints(pattern=USD)]
Duration = Annotated[str, StringConstraints(pattern=DURATION)]
StepType = Annotated[str, StringConstraints(pattern=STEP_TYPE)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]


def usd(amount: Decimal) -> str:
    """Write money as files hold it: plain digits, no exponent, at least cents."""
    text = format(amount.normalize() + 0, "f")  # + 0: there is no negative nothing
    whole, _, cents = text.partition(".")
    return f"{whole}.{cents.ljust(2, '0')}"


class Strict(BaseModel):
    """What a person writes: no unknown fields, no coercion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Stored(BaseModel):
    """What planlock wrote: unknown fields of a newer version survive a round trip."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)
