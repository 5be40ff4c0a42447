"""`read_file`: give a file's text to later steps and to the record."""

from __future__ import annotations

from typing import ClassVar

from runner.core.canonical import sha256_text
from runner.core.plan import ReadFileInput
from runner.core.text import visible
from runner.steps.contract import Context, Failure, Output, Preview, Reader, StepType


class ReadFile(StepType):
    name = "read_file"
    model: ClassVar = ReadFileInput
    idempotent = True

    def preview(self, given: ReadFileInput, read: Reader) -> Preview:
        content = read(given.path)
        trouble = "" if content is not None else f"{given.path} does not exist"
        return Preview(line=given.path, trouble=trouble)

    def execute(self, context: Context, given: ReadFileInput) -> Output:
        content = context.read(given.path, given.max_bytes)
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            message = f"reading {given.path}: not UTF-8 text at byte {error.start}"
            return Output(
                failure=Failure(code="not_text", message=message),
                digest=sha256_text(content),
                length=len(content),
            )
        return Output(text=visible(text), digest=sha256_text(content), length=len(content))
