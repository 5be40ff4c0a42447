"""Draws docs/run.svg: what a terminal shows of the run in the README."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path

from tests.docs.markdown import ROOT, Block, blocks
from tests.docs.stories import opened, read
from tests.docs.transcripts import Story, exchanges

FILE = ROOT / "docs" / "run.svg"
FONT = 14
LINE = 20
CHARACTER = 8.43
MARGIN = 16

_CODE = re.compile(r"\x1b\[(?P<codes>[0-9;]*)m")
_COLORS = {
    "31": "#f47067",
    "32": "#57ab5a",
    "33": "#c69026",
    "36": "#39c5cf",
    "37": "#909dab",
}


def write() -> None:
    """Play the README once more, its last command in a terminal, and draw that."""
    with tempfile.TemporaryDirectory(prefix="planlock-docs-") as folder:
        prompt, output = _last(opened("README.md", Path(folder)), read("README.md"))
    FILE.write_text(svg(f"{prompt}\n{output}"), encoding="utf-8")


def _last(story: Story, page: str) -> tuple[str, str]:
    for block in blocks(page):
        if "file" in block.directives:
            story.write(block.directives["as"], block.directives["file"], block.text)
    typed = [each for block in _consoles(page) for each in exchanges(block)]
    for each in typed[:-1]:
        story.run(each.who, each.command)
    last = typed[-1]
    return f"{last.who}$ {last.command}", story.run(last.who, last.command, terminal=True)


def svg(text: str) -> str:
    lines = text.rstrip("\n").split("\n")
    columns = max(len(_CODE.sub("", line)) for line in lines)
    width = round(columns * CHARACTER + 2 * MARGIN)
    height = len(lines) * LINE + 2 * MARGIN
    drawn = "\n".join(_line(line, number) for number, line in enumerate(lines))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="planlock run in a terminal">\n'
        f'<rect width="100%" height="100%" rx="8" fill="#1c2128"/>\n'
        f'<g font-family="ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace" '
        f'font-size="{FONT}" fill="#cdd9e5" xml:space="preserve">\n{drawn}\n</g>\n</svg>\n'
    )


def _line(line: str, number: int) -> str:
    y = MARGIN + LINE * (number + 1) - 6
    spans = "".join(
        f"<tspan{style}>{escape(text, quote=False)}</tspan>" for style, text in _spans(line)
    )
    return f'<text x="{MARGIN}" y="{y}">{spans}</text>'


def _spans(line: str) -> Iterator[tuple[str, str]]:
    """Split at the colour codes of the terminal."""
    style, position = "", 0
    for found in _CODE.finditer(line):
        if found.start() > position:
            yield style, line[position : found.start()]
        style, position = _style(found["codes"]), found.end()
    if position < len(line):
        yield style, line[position:]


def _style(codes: str) -> str:
    words = ""
    for code in codes.split(";"):
        if code in _COLORS:
            words += f' fill="{_COLORS[code]}"'
        elif code == "1":
            words += ' font-weight="bold"'
        elif code == "2":
            words += ' fill-opacity="0.6"'
    return words


def _consoles(page: str) -> list[Block]:
    return [block for block in blocks(page) if block.language == "console"]


def last_exchange() -> str:
    """What the README shows of its last command, as the picture should."""
    page = read("README.md")
    typed = [each for block in _consoles(page) for each in exchanges(block)]
    return f"{typed[-1].who}$ {typed[-1].command}\n{typed[-1].documented}"


def current() -> str:
    return shown(FILE.read_text(encoding="utf-8"))


def shown(drawing: str) -> str:
    """The text in a drawing, line by line."""
    lines = re.findall(r"<text [^>]*>(.*)</text>", drawing)
    plain = "\n".join(re.sub(r"<[^>]*>", "", line) for line in lines)
    return plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
