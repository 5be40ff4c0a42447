"""Attacks a backend in earnest, and tells from outside what each attack has reached."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from runner.core.errors import PlanlockError
from runner.sandbox.contract import Backend, Command, Limits, Outcome, Room
from runner.sandbox.selftest_scene import BEGUN, Scene

Kind = Literal["bubblewrap", "landlock"]
Free = Literal["anybody", "root", "nobody", "depends", "untried"]
BOTH: frozenset[Kind] = frozenset({"bubblewrap", "landlock"})
_HARM = "it could do harm outside"
_PYTHON = '"$PLANLOCK_PYTHON" -I -c "$PLANLOCK_CODE"'


@dataclass(frozen=True, kw_only=True)
class Attack:
    """`free` says who gets out where nothing confines; `untried` would do harm there.

    It got out if its scene shows a trace, or if its output says ESCAPED or holds the canary.
    """

    case: str
    name: str
    title: str
    script: str
    held_by: frozenset[Kind] = BOTH
    free: Free = "anybody"
    in_python: bool = False
    network: tuple[str, ...] = ()
    limits: Limits = field(default_factory=lambda: Limits(timeout_s=15))


@dataclass(frozen=True, kw_only=True)
class Result:
    """`held` is None where the attack could not be tried; `detail` says why, or what it reached."""

    id: str
    name: str
    title: str
    held: bool | None
    detail: str


def kind(backend: Backend) -> str:
    """`bubblewrap`, `landlock` or `none`."""
    return backend.name.partition(" ")[0]


def expected(attack: Attack, backend: Backend) -> bool:
    """Whether the backend is declared to hold the attack."""
    return kind(backend) in attack.held_by


def as_declared(attack: Attack, backend: Backend, result: Result) -> bool:
    """Whether nothing got out that the backend should hold, or was left untried."""
    return bool(result.held) or not expected(attack, backend)


def run(backend: Backend, attacks: Sequence[Attack]) -> tuple[Result, ...]:
    """Try all, in their order.

    One that would do harm unconfined is tried only after others of its case, where those that
    the backend should hold were held.
    """
    results: list[Result] = []
    for attack in attacks:
        so_far = zip(attacks, results, strict=False)
        before = [pair for pair in so_far if pair[0].case == attack.case]
        safe = attack.free != "untried" or _is_safe(backend, before)
        results.append(
            _tried(attack, backend) if safe else _result(attack, None, "not tried: " + _HARM)
        )
    return tuple(results)


def _is_safe(backend: Backend, before: Sequence[tuple[Attack, Result]]) -> bool:
    tried = [pair for pair in before if expected(pair[0], backend)]
    return bool(tried) and all(result.held for _, result in tried)


def _tried(attack: Attack, backend: Backend) -> Result:
    with tempfile.TemporaryDirectory(prefix="planlock-selftest-") as folder:
        with Scene(Path(folder)) as scene:
            try:
                outcome = _attacked(attack, backend, scene)
            except PlanlockError as error:
                return _result(attack, None, error.message)
            traces = (*_overrun(attack, outcome), *scene.traces(outcome.output))
        if traces:
            return _result(attack, False, ", ".join(traces))
        if BEGUN.encode() not in outcome.output:
            return _result(attack, None, f"did not begin: {_last_line(outcome)}")
        return _result(attack, True, "")


def _attacked(attack: Attack, backend: Backend, scene: Scene) -> Outcome:
    script = _PYTHON if attack.in_python else attack.script
    variables = {"PLANLOCK_PYTHON": sys.executable, "PLANLOCK_CODE": attack.script}
    command = Command(
        script=f"echo {BEGUN}\n{script}",
        env={**scene.variables, **(variables if attack.in_python else {})},
        network=attack.network,
        limits=attack.limits,
    )
    tools = (Path(sys.prefix),) if attack.in_python else ()
    room = Room(workspace=scene.workspace, mount_at=scene.workspace, tools=tools)
    return backend.run(command, room, on_output=lambda _: None, cancelled=lambda: False)


def _overrun(attack: Attack, outcome: Outcome) -> tuple[str, ...]:
    # The line that counts the gap between head and tail comes on top.
    within = len(outcome.output) <= attack.limits.output_bytes + 100
    return () if within else ("more output than its limit",)


def _last_line(outcome: Outcome) -> str:
    lines = outcome.output.decode(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "no output")


def _result(attack: Attack, held: bool | None, detail: str) -> Result:  # noqa: FBT001 - see Result
    return Result(id=attack.case, name=attack.name, title=attack.title, held=held, detail=detail)
