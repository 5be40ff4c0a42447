"""A step's context over files in memory, for the steps' own logic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.core.canonical import sha256_text
from runner.core.record import Change
from runner.steps.contract import Context, Output, Prompt


class Files:
    """Files in memory; `asked` tells (path, expected digest, mode) of each replacement."""

    def __init__(
        self, content: Mapping[str, bytes] | None = None, outputs: Mapping[str, str] | None = None
    ) -> None:
        self.content = dict(content or {})
        self.outputs = dict(outputs or {})
        self.asked: list[tuple[str, str | None, int | None]] = []
        self.questions: list[Prompt] = []
        self.commands: list[Any] = []

    def context(self) -> Context:
        return Context(
            goal="Do it",
            outputs=self.outputs,
            read=lambda path, limit: self.content[path][:limit],
            replace=self._replace,
            remove=self._remove,
            rename=self._rename,
            command=self._command,
            ask=self._ask,
        )

    def _replace(self, path: str, content: bytes, expect: str | None, mode: int | None) -> Change:
        self.asked.append((path, expect, mode))
        self.content[path] = content
        return Change(path=path, before=None, after=sha256_text(content))

    def _remove(self, path: str, expect: str | None) -> Change:
        self.asked.append((path, expect, None))
        return Change(path=path, before=sha256_text(self.content.pop(path)), after=None)

    def _rename(self, source: str, target: str, expect: str | None) -> tuple[Change, Change]:
        content = self.content[source]
        return self._remove(source, expect), self._replace(target, content, "absent", None)

    def _command(self, asked: Any) -> Output:
        self.commands.append(asked)
        return Output(text="done", exit_code=0)

    def _ask(self, prompt: Prompt) -> Output:
        self.questions.append(prompt)
        return Output(text="answer")
