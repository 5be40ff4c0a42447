"""What earlier steps of a run gave out, for the steps that ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from runner.core.plan import Step
from runner.core.run import RunFile


class Outputs(Mapping[str, str]):
    """The text of each completed step, in plan order; most steps never look."""

    def __init__(self, run: RunFile, steps: Sequence[Step]) -> None:
        self._run = run
        self._steps = steps

    @cached_property
    def _texts(self) -> dict[str, str]:
        records = {step.id: self._run.latest(step.id) for step in self._steps}
        return {
            step: record.output.text
            for step, record in records.items()
            if record and record.status == "completed" and record.output
        }

    def __getitem__(self, step: str) -> str:
        return self._texts[step]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)
