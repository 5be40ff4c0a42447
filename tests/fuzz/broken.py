"""Subjects that each forget one rule, so that a target which notices nothing is noticed."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from functools import partial

from runner.core import inert
from runner.core.command_line import Command, CommandLine
from runner.core.documents import Document, Limits, parse
from runner.core.errors import WorkspaceSecurityError
from runner.core.globs import Hit
from runner.core.redaction import Redacted, redact
from runner.core.redaction_stream import Redactor
from runner.git import sshsig
from runner.git.sshsig import Signature
from runner.sandbox import proxy_request
from runner.sandbox.proxy_request import Declined, Request
from tests.fuzz import (
    target_command_line,
    target_globs,
    target_hosts,
    target_paths,
    target_proxy,
    target_redaction,
    target_redaction_stream,
    target_rendering,
    target_signatures,
    target_yaml,
)


def path_in_one_case(path: str) -> str:
    """Knows `.git` and `..` only as they are usually written."""
    if {".git", "..", ".", ""} & {*path.split("/")} or set(path) & {"\0", "\\"}:
        raise WorkspaceSecurityError(path, "leads elsewhere", reason_code="parent")
    return path


def never(path: str) -> bool:
    return not path and False


def words_for_words(data: bytes, *, file: str, limits: Limits) -> Document:
    """Reads `NO` as a word."""
    document = parse(data.replace(b"NO", b"xx"), file=file, limits=limits)
    return Document(file, data.decode(), document.root)


def places_elsewhere(data: bytes, *, file: str, limits: Limits) -> Document:
    """Counts lines from a text that is not the file's."""
    return parse(b"\n\n\n\n\n\n" + data, file=file, limits=limits)


def only_equal(pattern: str, target: str) -> Hit:
    return Hit.YES if pattern == target else Hit.NO


def split_at_blanks(text: str) -> CommandLine:
    """Knows no quotes."""
    return CommandLine(text=text, commands=(Command(words=tuple(text.split()), plain=True),))


def signature_and_more(armored: bytes) -> Signature:
    """Lets something follow the signature."""
    return sshsig.parse(armored.rstrip(b"x"))


def all_but_private(address: str) -> bool:
    return not address.startswith("10.")


async def takes_any_method(client: socket.socket, *, patience_s: float) -> Request | None:
    try:
        return await proxy_request.read_request(client, patience_s=patience_s)
    except Declined as declined:
        return Request(asked=declined.asked, early=b"")


def plain_values_only(text: str, values: Iterable[str]) -> Redacted:
    """Knows no encoding."""
    found = text
    for value in values:
        found = found.replace(value, "[redacted: secret]")
    names = ("secret",) if found != text else ()
    rest = redact(found, ())
    return Redacted(text=rest.text, names=(*names, *rest.names))


class EachChunkAlone:
    """Forgets what came before."""

    def __init__(self, values: Iterable[str]) -> None:
        self.values = tuple(values)

    def feed(self, chunk: bytes) -> bytes:
        redactor = Redactor(self.values)
        return redactor.feed(chunk) + redactor.finish()

    def finish(self) -> bytes:
        return b""


class Unfenced:
    """Writes code in single backticks and its blocks in three, whatever stands in them."""

    terminal = staticmethod(inert.terminal)
    html = staticmethod(inert.html)
    html_block = staticmethod(inert.html_block)
    actions_log = staticmethod(inert.actions_log)

    def markdown(self, text: str, *, cell: bool = False, limit: int = inert.LIMIT) -> str:
        return f"`{inert.one_line(text, limit=limit)}`" if text or cell else ""

    def markdown_block(self, text: str, language: str = "", *, limit: int = inert.LIMIT) -> str:
        return f"```{language}\n{inert.terminal(text, limit=limit)}\n```"


class Unescaped(Unfenced):
    """Lets HTML be HTML, and commands commands."""

    markdown = staticmethod(inert.markdown)
    markdown_block = staticmethod(inert.markdown_block)

    def html(self, text: str, *, limit: int = inert.LIMIT) -> str:
        return inert.terminal(text, limit=limit)


class Commanding(Unescaped):
    """Knows commands only where a line begins with them."""

    html = staticmethod(inert.html)

    def actions_log(self, text: str, *, limit: int = inert.LIMIT) -> str:
        return inert.terminal(text, limit=limit).replace("\n::", "\n\\::")


# Target, what is wrong, and the target's check of it.
CHECKS: tuple[tuple[str, str, Callable[[bytes], None]], ...] = (
    ("paths", "one case", partial(target_paths.check, check_path=path_in_one_case)),
    ("paths", "not protected", partial(target_paths.check, is_protected=never)),
    ("paths", "no authority", partial(target_paths.check, is_authority=never)),
    ("yaml", "words", partial(target_yaml.check, parse=words_for_words)),
    ("yaml", "places", partial(target_yaml.check, parse=places_elsewhere)),
    ("globs", "equal only", partial(target_globs.check, hit=only_equal)),
    ("command_line", "no quotes", partial(target_command_line.check, read=split_at_blanks)),
    ("signatures", "more", partial(target_signatures.check, parse=signature_and_more)),
    ("hosts", "not private", partial(target_hosts.check, public=all_but_private)),
    ("proxy", "any method", partial(target_proxy.check, read_request=takes_any_method)),
    ("redaction", "no encodings", partial(target_redaction.check, redact=plain_values_only)),
    ("rendering", "fences", partial(target_rendering.check, renderers=Unfenced())),
    ("rendering", "HTML", partial(target_rendering.check, renderers=Unescaped())),
    ("rendering", "commands", partial(target_rendering.check, renderers=Commanding())),
    ("redaction_stream", "cuts", partial(target_redaction_stream.check, redactor=EachChunkAlone)),
)
