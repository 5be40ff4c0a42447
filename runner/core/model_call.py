"""What is asked of a language model and what comes back: one shape for library, HTTP and store.

Names of usage and finish reasons follow OpenTelemetry's `gen_ai.*` conventions.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from runner.core import canonical
from runner.core.values import Digest, Line, Stored, Strict, Usd, usd

Kind = Literal["plan", "edit", "analyze", "summarize", "custom"]
Tier = Literal["auto", "local", "fast", "strong"]
CacheMode = Literal["auto", "record", "replay", "live", "off"]
AttemptStatus = Literal["ok", "invalid", "cut_off", "error"]
CostStatus = Literal["reported", "computed", "estimated", "free", "cached", "unknown"]
CacheStatus = Literal["miss", "hit", "semantic_hit"]
UsageSource = Literal["provider", "estimated", "none"]
FinishReason = Literal["stop", "length", "refused"]

# What one call to a router over HTTP may take where money is bounded but no call: a broken answer
# costs all of it, as nobody knows better.
REMOTE_CALL_USD = Decimal("1.00")

Tokens = Annotated[int, Field(ge=0)]


class Message(Strict):
    role: Literal["system", "user", "assistant"]
    content: Annotated[str, StringConstraints(min_length=1, max_length=4_000_000)]


class Params(Strict):
    """How to sample; `max_tokens` bounds the answer, thoughts included."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 4096
    timeout_s: Annotated[int, Field(ge=1, le=3600)] = 300


class CacheWish(Strict):
    """Whether a stored answer may be given, and whether this one is kept.

    `auto` gives what is stored, else asks and stores; `record` asks and replaces what is stored;
    `replay` gives only what is stored; `live` asks, and stores where nothing was; `off` neither
    reads nor writes.
    """

    mode: CacheMode = "auto"
    semantic: bool = False


class BudgetWish(Strict):
    """The most that this call may cost over all its attempts."""

    max_cost_usd: Usd | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    allow_unpriced: bool = False


class InputFile(Strict):
    path: Line
    sha256: Digest


class CallContext(Strict):
    """For whom the call is: `project` is the policy's repository, `run` is `PLAN/N`."""

    project: Line | None = None
    run: Line | None = None
    step: Line | None = None
    prompt_version: Line | None = None
    inputs: Annotated[list[InputFile], Field(max_length=1000)] = []


class Request(Strict):
    """A question; `model` is `provider/name` or a name that the configuration lists."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=200)]
    kind: Kind = "custom"
    tier: Tier = "auto"
    model: Line | None = None
    params: Params = Params()
    cache: CacheWish = CacheWish()
    budget: BudgetWish = BudgetWish()
    context: CallContext = CallContext()


class StructureRequest(Request):
    """A question whose answer must satisfy a JSON Schema (2020-12)."""

    json_schema: dict[str, Any] = Field(alias="schema")
    schema_name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z][a-zA-Z0-9_-]{0,63}$")] = (
        "answer"
    )
    max_repairs: Annotated[int, Field(ge=0, le=5)] = 1


class Usage(Stored):
    """Tokens as inclusive totals; the cached and the reasoning ones are part of them."""

    input_tokens: Tokens = 0
    cache_read_input_tokens: Tokens = 0
    cache_creation_input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    reasoning_output_tokens: Tokens = 0
    source: UsageSource = "none"

    @property
    def total(self) -> int:
        return self.input_tokens + self.output_tokens


class Cost(Stored):
    """Money for an attempt or a call; `amount` is null where `status` is `unknown`."""

    amount: Usd | None
    currency: Literal["USD"] = "USD"
    status: CostStatus
    price_source: str = ""


class Attempt(Stored):
    """One HTTP request to a provider, whatever became of it; `raw_usage` is as it was told."""

    n: Annotated[int, Field(ge=1)]
    provider: str
    model: str
    response_model: str = ""
    status: AttemptStatus
    usage: Usage
    cost: Cost
    latency_ms: Annotated[int, Field(ge=0)]
    error: str = ""
    raw_usage: dict[str, Any] = {}


class Route(Stored):
    """Which model answered and why it; `fallbacks` are those that were tried before, with cause."""

    provider: str
    requested_model: str | None
    response_model: str
    reason: str
    fallbacks: list[str] = []


class Origin(Stored):
    """The call that a stored answer comes from."""

    id: str
    run: str | None = None
    step: str | None = None
    attempts: list[Attempt] = []


class CacheNote(Stored):
    """`key` is the request's content address; `saved` what the stored answer had cost."""

    status: CacheStatus
    key: Digest
    saved: Usd | None = None
    origin: Origin | None = None


class ValidationNote(Stored):
    ok: bool
    repairs: Annotated[int, Field(ge=0)] = 0


class BudgetNote(Stored):
    """`remaining_usd` is what the tightest of all budgets leaves; null where none bounds money."""

    remaining_usd: str | None = None


class Answer(Stored):
    """`text` of `complete`, `data` of `structure`; usage and cost are sums over the attempts."""

    id: str
    text: str | None = None
    data: Any = None
    finish_reason: FinishReason
    route: Route
    attempts: list[Attempt]
    usage: Usage
    cost: Cost
    cache: CacheNote
    validation: ValidationNote | None = None
    budget: BudgetNote = BudgetNote()
    latency_ms: Annotated[int, Field(ge=0)]


def ask_digest(request: Request) -> str:
    """The content address of a question without the model: what decides the answer's content.

    No clock, no absolute path, nobody's name: the same input has the same address anywhere.
    """
    return canonical.chain("planlock/ask/v1", _asked(request))


def request_key(request: Request, model: str) -> str:
    """The content address of a question put to a model, which is `provider/name`."""
    return canonical.chain("planlock/request/v1", {"model": model}, ask_digest(request))


def _asked(request: Request) -> dict[str, Any]:
    params, context = request.params, request.context
    value: dict[str, Any] = {
        "kind": request.kind,
        "messages": [message.model_dump() for message in request.messages],
        "temperature": None if params.temperature is None else format(params.temperature, ".6g"),
        "seed": params.seed,
        "max_tokens": params.max_tokens,
        "prompt_version": context.prompt_version,
        "inputs": [each.model_dump() for each in context.inputs],
    }
    if isinstance(request, StructureRequest):
        value["schema"] = plain_schema(request.json_schema)
        value["schema_name"] = request.schema_name
        value["max_repairs"] = request.max_repairs
    return value


def plain_schema(value: Any) -> Any:
    """Floats, which our canonical form does not have, as tagged text."""
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, Mapping):
        return {key: plain_schema(item) for key, item in value.items()}
    return [plain_schema(item) for item in value] if isinstance(value, list | tuple) else value


def total_usage(attempts: list[Attempt]) -> Usage:
    """Sum up; the source is the weakest of the parts."""
    order: tuple[UsageSource, ...] = ("none", "estimated", "provider")
    sources = {each.usage.source for each in attempts}
    weakest: UsageSource = next((each for each in order if each in sources), "none")
    names = [name for name in Usage.model_fields if name.endswith("_tokens")]
    sums = {name: sum(getattr(each.usage, name) for each in attempts) for name in names}
    return Usage(**sums, source=weakest)


def total_cost(attempts: list[Attempt]) -> Cost:
    """Sum up; unknown as soon as one attempt is."""
    costs = [each.cost for each in attempts]
    source = next((cost.price_source for cost in costs if cost.price_source), "")
    if any(cost.amount is None for cost in costs):
        return Cost(amount=None, status="unknown", price_source=source)
    amount = sum((Decimal(cost.amount or 0) for cost in costs), Decimal(0))
    order: tuple[CostStatus, ...] = ("estimated", "computed", "reported", "free")
    found = {cost.status for cost in costs}
    status: CostStatus = next((each for each in order if each in found), "free")
    return Cost(amount=usd(amount), status=status, price_source=source)
