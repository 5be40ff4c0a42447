"""How a file's new text is asked of a model, and how its answer is read.

Code inside JSON is measurably worse, so a draft is plain text: the whole file where it is new or
small, else search/replace blocks, each of which must match exactly once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from runner.core import checks
from runner.core.fence import RULE, fenced
from runner.core.model_call import Message

PROMPT_VERSION = "draft/1"
# Above this many characters a model is asked for blocks: less to write, less to lose.
WHOLE_FILE = 6_000
FENCE = re.compile(r"^(?P<ticks>`{3,}|~{3,})[^`\n]*$", re.MULTILINE)
# Small models repeat the marks of the material around what they write.
_MARK = re.compile(r"^</?data [0-9a-f]{32}[^>\n]*>[ \t]*\n?", re.MULTILINE)
OPEN = re.compile(r"<{5,9} ?SEARCH\b")
MIDDLE = re.compile(r"={5,9}[ \t]*$")
CLOSE = re.compile(r">{5,9} ?REPLACE\b")
# Above these sizes an answer is no draft, and lines are not compared one by one.
LONGEST_ANSWER = 200_000
MOST_PAIRS = 1_000_000
SYSTEM = (
    "You edit one file of a software project. Follow the task exactly; change nothing else."
    " Keep the file's style, and every function, class and comment that the task does not touch. "
    + RULE
)
ASK_WHOLE = (
    "Write the complete new text of {path}, from its first to its last line, in one code block."
    " No explanation."
)
ASK_BLOCKS = (
    "Write the changes to {path} as blocks, nothing else:\n"
    "<<<<<<< SEARCH\nlines exactly as they are in the file, enough of them to occur only once\n"
    "=======\nthe lines that take their place\n>>>>>>> REPLACE"
)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What a model wrote: the whole new text, or (search, replace) pairs."""

    content: str | None = None
    edits: tuple[tuple[str, str], ...] = ()

    def input(self, path: str) -> dict[str, Any]:
        """The step's input, without the pin."""
        if self.content is not None:
            return {"path": path, "new_content": self.content}
        return {
            "path": path,
            "edits": [{"search": old, "replace": new} for old, new in self.edits],
        }


class Misfit(ValueError):
    """An answer that is no draft, or one that does not apply; the message tells the model why."""


def is_whole(before: str | None) -> bool:
    """Whether the whole file is asked for."""
    return before is None or len(before) <= WHOLE_FILE


def messages(
    *,
    goal: str,
    path: str,
    instruction: str,
    before: str | None,
    material: Sequence[tuple[str, str]] = (),
) -> list[Message]:
    """Ask for a draft of one file; `material` are (name, text) of what helps to write it."""
    parts = [fenced(name, text) for name, text in material]
    if before is None:
        parts.append(f"The file {path} does not exist yet.")
    else:
        parts.append(fenced(path, before))
    ask = ASK_WHOLE if is_whole(before) else ASK_BLOCKS
    parts += [
        f"The goal of the whole change: {goal}",
        f"Your task in {path}: {instruction}",
        ask.format(path=path),
    ]
    return [
        Message(role="system", content=SYSTEM),
        Message(role="user", content="\n\n".join(parts)),
    ]


def read(answer: str, *, path: str, before: str | None) -> Draft:
    """Read a model's answer; raises Misfit."""
    if len(answer) > LONGEST_ANSWER:
        raise Misfit(f"your answer has {len(answer)} characters, more than {LONGEST_ANSWER}")
    if not is_whole(before):
        edits = tuple(blocks(answer))
        if not edits:
            raise Misfit("there is no SEARCH/REPLACE block in your answer")
        return Draft(edits=edits)
    content = unfenced(answer, nested=path.lower().endswith((".md", ".markdown")))
    if not content.strip():
        raise Misfit("your answer holds no text for the file")
    return Draft(content=content.rstrip("\n") + "\n")


def blocks(answer: str) -> Iterator[tuple[str, str]]:
    """The (search, replace) texts of an answer's blocks; one that is not closed is none."""
    search: list[str] | None = None
    replace: list[str] | None = None
    for line in answer.splitlines(keepends=True):
        if OPEN.match(line):
            search, replace = [], None
        elif search is not None and replace is None and MIDDLE.match(line):
            replace = []
        elif search is not None and replace is not None and CLOSE.match(line):
            yield "".join(search), "".join(replace)
            search = replace = None
        elif replace is not None:
            replace.append(line)
        elif search is not None:
            search.append(line)


def unfenced(answer: str, *, nested: bool) -> str:
    """The text inside the answer's code block: the longest one, or all of it where there is none.

    `nested`: the text may itself hold blocks, so it goes from the first mark to the last.
    """
    answer = _MARK.sub("", answer)
    marks = list(FENCE.finditer(answer))
    if len(marks) < 2:  # none, or one that was never closed
        return answer[marks[0].end() + 1 :] if marks and not answer[: marks[0].start()] else answer
    if nested:
        # A Markdown file that only quotes code is not itself a block.
        whole = not answer[: marks[0].start()].strip()
        return answer[marks[0].end() + 1 : marks[-1].start()] if whole else answer
    pairs = zip(marks[::2], marks[1::2], strict=False)
    return max((answer[one.end() + 1 : other.start()] for one, other in pairs), key=len)


def apply(draft: Draft, before: str | None) -> str:
    """The file as the draft makes it; raises Misfit."""
    if draft.content is not None:
        after = draft.content
    else:
        after = before or ""
        for number, (search, replace) in enumerate(draft.edits, start=1):
            count = after.count(search)
            if count != 1 or not search:
                raise Misfit(
                    f"block {number}: its SEARCH text occurs {count} times in the file, not once"
                )
            after = after.replace(search, replace)
    if draft.content is not None and before is not None:
        after = calmed(before, after)
    if after == before:
        raise Misfit("your answer leaves the file as it is")
    return after


def calmed(before: str, after: str) -> str:
    """Take back changes of empty lines alone, which a model makes that copies a whole file."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    if len(old) * len(new) > MOST_PAIRS:
        return after
    lines: list[str] = []
    for kind, a, b, c, d in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        quiet = kind != "equal" and not "".join((*old[a:b], *new[c:d])).strip()
        lines += old[a:b] if quiet else new[c:d]
    return "".join(lines)


def check(path: str, before: str | None, after: str) -> tuple[str, ...]:
    """Complaints about a drafted file; raises Misfit where it no longer parses and did before."""
    trouble = checks.syntax(path, after)
    if trouble and (before is None or checks.syntax(path, before) is None):
        raise Misfit(f"the new {path} is not valid: {trouble}")
    lost = checks.lost_names(path, before or "", after)
    return (f"{path} no longer defines {', '.join(lost)}",) if lost else ()
