"""A document as a page of HTML that loads nothing and runs nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence

import click

from runner.cli.formats import LOOK_TWICE, WHOLE, Document, Facts, Part, Section, Table, honest
from runner.core.inert import html, html_block, one_line, terminal

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1f24; background: #fff }
h1 { font-size: 1.5rem } code, pre { font: 14px/1.4 ui-monospace, monospace }
pre { background: #f3f4f6; padding: .75rem; overflow: auto; white-space: pre-wrap;
  overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .25rem .5rem;
  border-bottom: 1px solid #d5d9de; overflow-wrap: anywhere }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem } dd { margin: 0;
  overflow-wrap: anywhere; white-space: pre-wrap } dt { color: #57606a }
details { border: 1px solid #d5d9de; padding: .5rem .75rem; margin: .5rem 0 }
summary { cursor: pointer } .twice { color: #b42318; font-weight: 600 }
.added { background: #dafbe1 } .removed { background: #ffebe9 } .place { color: #0550ae }
@media (prefers-color-scheme: dark) { body { color: #e6e8eb; background: #14171a }
  pre { background: #22262b } dt { color: #9aa4af } .twice { color: #ff8a80 }
  .added { background: #12351f } .removed { background: #4a1a1a } .place { color: #79b8ff } }
"""
LINES = {"+": "added", "-": "removed", "@": "place"}


def write(document: Document) -> None:
    click.echo("\n".join(page(document)))


def page(document: Document) -> Iterator[str]:
    """The page, piece by piece."""
    document = honest(document)
    allowed = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield (
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        f" style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'\">"
    )
    yield '<meta name="referrer" content="no-referrer">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{html(one_line(' '.join(document.title)))}</title>"
    yield f"<style>{STYLE}</style>\n</head>\n<body>"
    yield f"<h1>{_title(document.title)}</h1>"
    yield from map(_part, document.parts)
    yield from map(_section, document.sections)
    yield from map(_part, document.last)
    yield "</body>\n</html>"


def _title(words: Sequence[str]) -> str:
    label, *names = words
    codes = (f"<code>{html(one_line(name))}</code>" for name in names if name)
    return " ".join([html(label), *codes])


def _section(section: Section) -> str:
    parts = "\n".join(map(_part, section.parts))
    return f"<details open><summary>{_title(section.title)}</summary>\n{parts}\n</details>"


def _part(part: Part) -> str:
    if isinstance(part, Facts):
        return f"<dl>\n{''.join(_fact(label, text) for label, text in part.rows)}</dl>"
    if isinstance(part, Table):
        rows = [_row("th", part.head), *(_row("td", row) for row in part.rows)]
        return f"<table>\n{''.join(rows)}</table>"
    body = _diff(part.text) if part.language == "diff" else html_block(part.text, limit=WHOLE)
    return f"<p>{html(part.label)}:</p>\n{body}"


def _fact(label: str, text: str) -> str:
    mark = ' class="twice"' if label == LOOK_TWICE else ""
    return f"<dt{mark}>{html(label)}</dt><dd><code>{html(text, limit=WHOLE)}</code></dd>\n"


def _row(kind: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{kind}>{html(cell)}</{kind}>' for cell in cells)}</tr>\n"


def _diff(text: str) -> str:
    lines = "\n".join(map(_diff_line, terminal(text, limit=WHOLE).split("\n")))
    return f"<pre>\n{lines}</pre>"


def _diff_line(line: str) -> str:
    kind = LINES.get(line[:1])
    return (
        f'<span class="{kind}">{html(line, limit=WHOLE)}</span>'
        if kind
        else html(line, limit=WHOLE)
    )
