"""Comments on a pull request: one for the plan, edited in place; an answer given once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from runner.core.forge import Comment
from runner.core.inert import markdown
from runner.core.reviews import Uncounted
from runner.github.client import GitHub

_MARK = re.compile(r"<!-- planlock:(?P<about>[a-z0-9:.-]{1,100}) -->")
# What needs no answer: the person knows, or is none.
_SILENT = frozenset({"review_dismissed", "review_of_bot"})


@dataclass(frozen=True, kw_only=True)
class Board:
    """A pull request's comments of our own, read once: others may write our marks too."""

    forge: GitHub
    number: int
    ours: tuple[Comment, ...]

    @classmethod
    def read(cls, forge: GitHub, number: int) -> Board:
        me = forge.whoami().id
        found = [each for each in forge.comments(number) if each.author and each.author.id == me]
        return cls(forge=forge, number=number, ours=tuple(found))

    def put(self, about: str, body: str) -> str:
        """Write the comment about something, or bring it up to date; gives its address."""
        text = f"{mark(about)}\n{body}"
        known = self._about(about)
        if known is None:
            return self.forge.add_comment(self.number, text).url
        if known.body.replace("\r\n", "\n").rstrip() == text.rstrip():
            return known.url
        return self.forge.edit_comment(known.id, text).url

    def once(self, about: str, body: str) -> None:
        """Answer something, unless it has been answered."""
        if self._about(about) is None:
            self.forge.add_comment(self.number, f"{mark(about)}\n{body}")

    def _about(self, about: str) -> Comment | None:
        return next((each for each in self.ours if _is_about(each, about)), None)


def mark(about: str) -> str:
    """What tells our comment about something from the others; it is not shown."""
    return f"<!-- planlock:{about} -->"


def _is_about(comment: Comment, about: str) -> bool:
    found = _MARK.match(comment.body)
    return found is not None and found["about"] == about


def answer_reviews(board: Board, uncounted: Iterable[Uncounted]) -> None:
    """Say once of each review that does not count why not, and what would."""
    for each in uncounted:
        review, reason = each.review, each.reason
        if reason.code in _SILENT or review.author is None:
            continue
        fix = f"\n\n{_fix(reason.fix)}" if reason.fix else ""
        who, why = markdown(review.author.login), markdown(reason.message)
        text = f"The review by {who} does not count as an approval: {why}.{fix}"
        board.once(f"review:{review.id}:{reason.code.replace('_', '-')}", text)


def _fix(text: str) -> str:
    start, mark, line = text.partition("first line: ")
    if not mark:
        return f"What helps: {markdown(text)}"
    return f"What helps: {markdown(start)}first line:\n\n```text\n{line}\n```"
