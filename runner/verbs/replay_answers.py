"""The models of a replayed step: what the run's own files say that they answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.core import documents
from runner.core.cost import Call
from runner.core.errors import AuthorityRefused, ModelError
from runner.core.model_call import Answer, CacheNote, Cost, Request, Route, Usage, ask_digest
from runner.core.record import RecordFile
from runner.core.redaction import redact_request
from runner.models.contract import OnText
from runner.verbs import transcripts
from runner.verbs.session import Session


class AnswerMissing(AuthorityRefused):
    """The run's branch does not hold what a model answered."""

    code = "answer_missing"


class RecordedAnswers:
    """Gives the answers of one recorded step in order; nobody is asked and nothing is paid.

    `differing` says how a question is another one than was recorded, where one is.
    """

    remembered = True

    def __init__(
        self, held: Session, file: RecordFile, *, commit: str, hidden: tuple[str, ...]
    ) -> None:
        self.held = held
        self.hidden = hidden
        self.transcripts: list[dict[str, Any]] = []
        self.differing = ""
        self._file = file
        self._tree = held.project.store.commit(commit).tree
        self._asked = 0

    def complete(self, request: Request, *, on_text: OnText | None = None) -> Answer:
        """Give the recorded text; raises AnswerMissing, or ModelError where there was none."""
        self._asked += 1
        told = self._read(f"calls/{self._file.number:03d}-{self._asked}.yaml")
        safe = redact_request(request, self.hidden)
        self._compare(told, safe)
        if "error" in told:
            raise _failure(told["error"])
        answer = _answer(told, ask_digest(safe))
        if on_text is not None:
            on_text(answer.text or "")
        return answer

    def recorded(self) -> tuple[Call, ...]:
        """No call: whatever they cost was paid when the run was."""
        return ()

    def _read(self, name: str) -> Mapping[str, Any]:
        path = f"{self.held.folder}/{name}"
        data = self.held.project.store.file(self._tree, path)
        if data is None:
            message = f"replaying {self._file.name}: there is no {path}"
            raise AnswerMissing(message, hint="planlock audit")
        value: Mapping[str, Any] = documents.parse(data, file=path).value
        return value

    def _compare(self, told: Mapping[str, Any], request: Request) -> None:
        now = transcripts.messages(request)
        if self.differing or told["messages"] == now:
            return
        pairs = zip(told["messages"], now, strict=False)
        place = next((n for n, (a, b) in enumerate(pairs, start=1) if a != b), len(now))
        self.differing = f"message {place} of question {self._asked}"


def _failure(error: Mapping[str, Any]) -> ModelError:
    """The failure that the run recorded in place of an answer."""
    kinds = {each.code: each for each in _kinds(ModelError)}
    return kinds.get(str(error["code"]), ModelError)(str(error["message"]))


def _kinds(kind: type[ModelError]) -> Iterator[type[ModelError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _kinds(each)


def _answer(told: Mapping[str, Any], key: str) -> Answer:
    route = told["route"]
    return Answer(
        id="",
        text=told["answer"],
        finish_reason=told["finish_reason"],
        route=Route.model_validate(route),
        attempts=[],
        usage=Usage(),
        cost=Cost(amount="0.00", status="cached"),
        cache=CacheNote(status="hit", key=key),
        latency_ms=0,
    )
