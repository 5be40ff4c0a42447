"""`edit_file`: create, change or delete one file, atomically, if it is still what was reviewed."""

from __future__ import annotations

from typing import ClassVar

from runner.core.canonical import sha256_text
from runner.core.errors import StepFailed
from runner.core.plan import EditFileInput
from runner.steps.contract import Context, Output, Preview, Reader, StepType

LIMIT = 1_000_000
NOT_YET = "drafted by a model when the run gets there; you will see it before it is applied"


def apply(given: EditFileInput, before: bytes | None) -> bytes | None:
    """Compute the new content, None for a deleted file; raises StepFailed where it does not fit."""
    if given.delete:
        if before is None:
            raise StepFailed(f"deleting {given.path}: it does not exist")
        return None
    if given.new_content is not None:
        return given.new_content.encode()
    if given.edits is None:
        raise StepFailed(
            f"editing {given.path}: it has an instruction and no text yet",
            hint="write new_content or edits, or let the run draft it",
        )
    return _replace_all(given, _text(given.path, before)).encode()


def _text(path: str, content: bytes | None) -> str:
    if content is None:
        raise StepFailed(f"editing {path}: it does not exist", hint="write new_content")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise StepFailed(f"editing {path}: not UTF-8 text at byte {error.start}") from error


def _replace_all(given: EditFileInput, text: str) -> str:
    for number, edit in enumerate(given.edits or [], start=1):
        count = text.count(edit.search)
        if count != 1:
            raise StepFailed(
                f"editing {given.path}: edit {number}: the search text occurs {count} times, not once",
                hint="make `search` longer, or correct it",
            )
        text = text.replace(edit.search, edit.replace)
    return text


def pin(before: bytes | None) -> str:
    """What `replaces` says of a file."""
    return "absent" if before is None else sha256_text(before)


class EditFile(StepType):
    name = "edit_file"
    model: ClassVar = EditFileInput
    idempotent = True

    def preview(self, given: EditFileInput, read: Reader) -> Preview:
        before = read(given.path)
        kind = "delete" if given.delete else "create" if before is None else "change"
        line = f"{kind} {given.path}"
        if given.replaces is not None and given.replaces != pin(before):
            trouble = f"stale: {given.path} is not the file that the edit was written against"
            return Preview(line=line, path=given.path, before=before, trouble=trouble)
        if given.instruction is not None:
            details = [("instruction", given.instruction), ("text", NOT_YET)]
            return Preview(line=f"draft {given.path}", details=details)
        try:
            after = apply(given, before)
        except StepFailed as error:
            return Preview(line=line, path=given.path, before=before, trouble=error.message)
        return Preview(line=line, path=given.path, before=before, after=after)

    def execute(self, context: Context, given: EditFileInput) -> Output:
        if given.delete:
            change = context.remove(given.path, given.replaces)
        else:
            content = self._content(context, given)
            mode = int(given.mode, 8) if given.mode else None
            change = context.replace(given.path, content, given.replaces, mode)
        return Output(changes=(change,))

    @staticmethod
    def _content(context: Context, given: EditFileInput) -> bytes:
        before = context.read(given.path, LIMIT) if given.edits is not None else None
        return apply(given, before) or b""
