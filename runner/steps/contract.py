"""The contract of a step type: input model, preview and execution, for built-in and custom ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel

from runner.core.cost import Call
from runner.core.model_call import Kind, Message
from runner.core.record import Change, Contact

Reader = Callable[[str], bytes | None]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a step did not succeed: a stable code and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a step gives back; `text` is bounded, digest and length are of the whole."""

    text: str = ""
    digest: str = ""
    length: int = 0
    truncated: bool = False
    exit_code: int | None = None
    signal: int | None = None
    failure: Failure | None = None
    changes: tuple[Change, ...] = ()
    contacts: tuple[Contact, ...] = ()
    calls: tuple[Call, ...] = ()
    sandbox: str = ""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a reviewer sees of a step: one line, then the details; `after` is the simulated file."""

    line: str
    details: Sequence[tuple[str, str]] = ()
    path: str | None = None
    before: bytes | None = None
    after: bytes | None = None
    trouble: str = ""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A question to a model; `version` names the wording around it, `over` the steps it quotes."""

    kind: Kind
    version: str
    messages: Sequence[Message]
    over: Sequence[str] = ()
    max_tokens: int = 4096


@dataclass(frozen=True, kw_only=True)
class Context:
    """All that a step may touch: functions of the confined workspace, the model, earlier outputs.

    `read` gives the bytes of a file up to a limit, `replace` writes one whole where it still
    has the expected digest (or `absent`), `remove` deletes one, `rename` moves one to a name that is
    free, `command` runs one confined, `ask` puts a question to a model, within the budgets, and
    keeps what it cost. `outputs` are in the order of the plan.
    """

    goal: str
    outputs: Mapping[str, str]
    read: Callable[[str, int], bytes]
    replace: Callable[[str, bytes, str | None, int | None], Change]
    remove: Callable[[str, str | None], Change]
    rename: Callable[[str, str, str | None], tuple[Change, Change]]
    command: Callable[[Any], Output]
    ask: Callable[[Prompt], Output]


class StepType(ABC):
    """A kind of step. `idempotent` ones are done again after a crash; others wait for a person.

    How many approvals a type needs is the policy's word alone; one that no rule and no default
    names needs one.
    """

    name: ClassVar[str]
    model: ClassVar[type[BaseModel]]
    idempotent: ClassVar[bool]

    @abstractmethod
    def preview(self, given: Any, read: Reader) -> Preview:
        """Show what the step would do to the files that `read` gives (None: absent)."""

    @abstractmethod
    def execute(self, context: Context, given: Any) -> Output:
        """Do the step; failures that belong to the step are in the output, others are raised."""
