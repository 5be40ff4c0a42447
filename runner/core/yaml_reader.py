"""Building values from YAML events, refusing what two parsers could read in two ways.

PyYAML's composer, resolver and constructor are not used, so aliases, tags, merge keys and the
types of YAML 1.1 never come to life, and the limits hold while the events stream in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import yaml

from runner.core.errors import InvalidDocument, Problem
from runner.core.yaml_nodes import Limits, Node, NodePath, path_text, place_at
from runner.core.yaml_scalars import Flaw, block_flaw, plain_flaw, plain_value, quoted_flaw, shown

MAX_PROBLEMS = 100

# libyaml is optional in PyYAML, and with it CSafeLoader.
Loader: TypeAlias = "type[yaml.SafeLoader | yaml.CSafeLoader]"
LOADER: Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAB = Flaw("tab", "a tab stands outside quotes and text blocks", "use spaces")


def read(text: str, *, file: str, limits: Limits, loader: Loader = LOADER) -> Node:
    """Read one document from a text without hidden characters; raises InvalidDocument."""
    return _Reader(text, file=file, limits=limits).read(loader)


@dataclass
class _Frame:
    """A collection whose end has not come yet; `children` of a list are kept by index."""

    start: int
    flow: bool
    is_mapping: bool
    end: int
    at_key: bool
    key: str | None = None
    children: dict[str | int, Node] = field(default_factory=dict)
    key_starts: dict[str, int] = field(default_factory=dict)

    def position(self) -> NodePath:
        """Name the child that is being read; a key that is refused names none."""
        if not self.is_mapping:
            return (len(self.children),)
        return () if self.at_key or self.key is None else (self.key,)

    def take(self, node: Node) -> None:
        self.end = node.end
        if not self.is_mapping:
            self.children[len(self.children)] = node
        elif self.key is not None:
            self.children[self.key] = node
        self.at_key = self.is_mapping

    def take_key(self, key: str | None, node: Node) -> None:
        self.end = node.end
        self.key = key
        self.at_key = False
        if key is not None:
            self.key_starts.setdefault(key, node.start)

    def node(self, end: int) -> Node:
        items = self.children
        value = (
            {key: item.value for key, item in items.items()}
            if self.is_mapping
            else [item.value for item in items.values()]
        )
        last = end if self.flow else self.end
        return Node(value, self.start, last, self.flow, items, self.key_starts)


class _Reader:
    def __init__(self, text: str, *, file: str, limits: Limits) -> None:
        self.text = text
        self.file = file
        self.limits = limits
        self.problems: list[Problem] = []
        self.stack: list[_Frame] = []
        self.root: Node | None = None
        self.nodes = 0
        self.documents = 0
        self.tabs_checked = 0
        # Where a last line that lacks its line end ends.
        self.unended = len(text) + 1 if text.endswith("\n") else len(text.rstrip())

    def read(self, loader: Loader) -> Node:
        try:
            for event in yaml.parse(self.text, Loader=loader):
                self.take(event)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            self.take_syntax_error(error)
        self.check_tabs(len(self.text))
        if self.root is None and not self.problems:
            self.report(0, Flaw("empty_document", "the document is empty", "write a value"))
        if self.root is None or self.problems:
            raise self.refusal()
        return self.root

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self.take_scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self.take_start(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.complete(self.stack.pop().node(_extent(event)[1]))
        elif isinstance(event, yaml.AliasEvent):
            self.take_alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.take_document(event)

    def take_document(self, event: yaml.DocumentStartEvent) -> None:
        start, _ = _extent(event)
        self.documents += 1
        if self.documents > 1:
            message = "a second document begins here"
            self.stop(start, Flaw("second_document", message, "keep one document in a file"))
        if event.explicit and not self.text.startswith("---", start):
            message = "a directive changes how the document is read"
            self.report(start, Flaw("directive", message, "remove the lines before ---"))

    def take_start(self, event: yaml.CollectionStartEvent) -> None:
        start, _ = _extent(event)
        self.count_node(start)
        self.check_properties(event, start)
        if len(self.stack) >= self.limits.max_depth:
            message = f"nested more than {self.limits.max_depth} levels deep"
            self.stop(start, Flaw("too_deep", message, "flatten the document"))
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        flow = bool(event.flow_style)
        self.stack.append(_Frame(start, flow, is_mapping, end=start, at_key=is_mapping))

    def take_alias(self, event: yaml.AliasEvent) -> None:
        start, end = _extent(event)
        self.count_node(start)
        self.report(start, Flaw("alias", "an alias repeats another value", "write the value out"))
        self.complete(Node(None, start, end), clean=False)

    def take_scalar(self, event: yaml.ScalarEvent) -> None:
        start, end = _extent(event)
        self.count_node(start)
        self.check_properties(event, start)
        flaw = self.scalar_flaw(event, start, end)
        if flaw is not None:
            self.report(start, flaw)
        if event.style:
            self.skip_tabs(start, end)
        plain = not event.style and flaw is None
        value = plain_value(event.value) if plain else event.value
        self.complete(Node(value, start, end), clean=flaw is None)

    def scalar_flaw(self, event: yaml.ScalarEvent, start: int, end: int) -> Flaw | None:
        if not event.style:
            return self.plain_flaw(event.value)
        if event.style in {"|", ">"}:
            return self.block_place_flaw(start, end) or block_flaw(
                self.text[start:end], style=event.style, value=event.value
            )
        source = self.text[start:end]
        return quoted_flaw(
            source, event.value, indent=self.block_indent() if "\n" in source else -1
        )

    def block_indent(self) -> int:
        """Give the column, from 0, of the innermost block collection; -1 without one."""
        starts = (frame.start for frame in reversed(self.stack) if not frame.flow)
        start = next(starts, None)
        return -1 if start is None else start - self.text.rfind("\n", 0, start) - 1

    def plain_flaw(self, plain: str) -> Flaw | None:
        frame = self.stack[-1] if self.stack else None
        flaw = plain_flaw(plain, in_flow=frame is not None and frame.flow)
        return flaw._replace(fix="quote the key") if flaw and frame and frame.at_key else flaw

    def block_place_flaw(self, start: int, end: int) -> Flaw | None:
        if not self.text[self.text.rfind("\n", 0, start) + 1 : start].strip():
            message = "YAML parsers disagree on a text block that is not on the line of its key"
            return Flaw("block_place", message, "write | on the line of its key, or use quotes")
        if end >= self.unended:
            message = "YAML parsers disagree on a text block that ends without a line end"
            return Flaw("no_line_end", message, "end the file with a line end")
        return None

    def complete(self, node: Node, *, clean: bool = True) -> None:
        """Hand a finished node to the collection that it stands in."""
        if not self.stack:
            self.root = node
        elif self.stack[-1].at_key:
            self.take_key(node, clean=clean)
        else:
            self.stack[-1].take(node)

    def take_key(self, node: Node, *, clean: bool) -> None:
        frame = self.stack[-1]
        flaw = self.key_flaw(node, frame) if clean else None
        frame.take_key(node.value if clean and isinstance(node.value, str) else None, node)
        if flaw is not None:
            self.report(node.start, flaw)

    def key_flaw(self, node: Node, frame: _Frame) -> Flaw | None:
        if not isinstance(node.value, str):
            return Flaw("key_not_string", "a key is not a string", "quote the key")
        if node.value == "<<":
            message = "some YAML parsers merge the value of <<, even quoted"
            return Flaw("merge_key", message, "write the fields out")
        first = frame.key_starts.get(node.value)
        return None if first is None else self.duplicate(node.value, first)

    def duplicate(self, key: str, first: int) -> Flaw:
        line = place_at(self.text, first).line
        message = f"the key {shown(key)} is already on line {line}"
        return Flaw("duplicate_key", message, "remove or rename one of the two")

    def check_properties(
        self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, start: int
    ) -> None:
        if event.anchor is not None:
            self.report(start, Flaw("anchor", "an anchor names a value", "remove the &name"))
        if event.tag is not None:
            self.report(start, Flaw("tag", "a tag changes a value's type", "remove the !tag"))

    def count_node(self, start: int) -> None:
        self.nodes += 1
        if self.nodes > self.limits.max_nodes:
            message = f"more than {self.limits.max_nodes} keys and values"
            self.stop(start, Flaw("too_many_nodes", message, "split the document"))

    def skip_tabs(self, start: int, end: int) -> None:
        """Let tabs stand inside quotes and text blocks, but not between tokens before them."""
        self.check_tabs(start)
        self.tabs_checked = max(self.tabs_checked, end)

    def check_tabs(self, end: int) -> None:
        """Refuse tabs between tokens, which libyaml reads and PyYAML's own parser does not."""
        found = self.text.find("\t", self.tabs_checked, end)
        self.tabs_checked = max(self.tabs_checked, end)
        if found >= 0:
            self.report(found, _TAB)

    def take_syntax_error(self, error: Exception) -> None:
        mark = getattr(error, "problem_mark", None)
        offset = len(self.text) if mark is None else min(mark.index, len(self.text))
        said = getattr(error, "problem", None) or "an escape names no character"
        flaw = Flaw("syntax", f"not YAML: {said}", "correct the indentation or quoting here")
        self.report(offset, flaw)

    def report(self, offset: int, flaw: Flaw) -> None:
        line, column = place_at(self.text, offset)
        path = tuple(part for frame in self.stack for part in frame.position())
        problem = Problem(
            file=self.file,
            line=line,
            column=column,
            path=path_text(path),
            code=flaw.code,
            message=flaw.message,
            fix=flaw.fix,
        )
        self.problems.append(problem)
        if len(self.problems) >= MAX_PROBLEMS:
            raise self.refusal()

    def stop(self, offset: int, flaw: Flaw) -> NoReturn:
        self.report(offset, flaw)
        raise self.refusal()

    def refusal(self) -> InvalidDocument:
        return InvalidDocument(sorted(self.problems, key=lambda it: (it.line, it.column)))


def _extent(event: Any) -> tuple[int, int]:
    """Give start and end in characters; both parsers count in them and always set both marks."""
    return event.start_mark.index, event.end_mark.index
