"""Draws docs/pictures: the comment and the results as GitHub's own Markdown and a browser show them."""

from __future__ import annotations

import hashlib
import re
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import cmarkgfm
from cmarkgfm.cmark import Options
from desk import desk
from team import EDIT, READ, command

from tests.docs.markdown import ROOT

FOLDER = ROOT / "docs" / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 900, 1310
TEST = "python3 -c 'import utils; print(utils.factorial(5))'"
SOURCE = b"planlock-source\0"
# What differs from one playing of the story to the next.
_CHANGING = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "3f1c09d2a7e35b8c" * 4),
    (re.compile(r"\b[0-9a-f]{40}\b"), "4f1c09d2a7e35b8c6f0192a3b4c5d6e7f8091a2b"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "4f1c09d2a7e3"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "2026-11-23T10:00:00Z"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "https://github.com"),
    (re.compile(r"bubblewrap \d[\d.]*"), "bubblewrap"),
)
STYLE = """\
body { font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; margin: 0;
  background: #f6f8fa; color: #1f2328 }
article { margin: 24px; background: #fff; border: 1px solid #d1d9e0; border-radius: 6px }
header { padding: 8px 16px; background: #f6f8fa; border-bottom: 1px solid #d1d9e0;
  border-radius: 6px 6px 0 0; color: #59636e }
main { padding: 16px } main > :first-child { margin-top: 0 }
h2 { border-bottom: 1px solid #d1d9e0b3; padding-bottom: .3em; font-size: 1.5em }
code { background: #818b981f; border-radius: 6px; padding: .2em .4em; font: 85% "DejaVu Sans Mono",
  monospace }
pre { background: #f6f8fa; padding: 16px; border-radius: 6px; overflow: hidden }
pre code { background: none; padding: 0 }
table { border-collapse: collapse; margin: 8px 0 16px }
th, td { border: 1px solid #d1d9e0; padding: 6px 13px; text-align: left }
details { margin: 8px 0 } ul { padding-left: 2em }
"""


def played(base: Path) -> Mapping[str, str]:
    """The real comment of a plan and the real text of its run, as the forge has them."""
    with desk(base) as team:
        number = team.propose("add-factorial", READ + EDIT + command(TEST, name="test"))
        assert team.github("check", "--pull-request", str(number)).code == 0
        comment = team.comment_of_plan(number, "add-factorial")
        team.approve(number, name="add-factorial")
        assert team.github("execute", "--pull-request", str(number)).code == 0
        (results,) = team.pulls("planlock/add-factorial/1")
    return {"comment": steady(comment), "results": steady(str(results["body"]))}


def steady(text: str) -> str:
    """The text without what is another one each time."""
    for pattern, instead in _CHANGING:
        text = pattern.sub(instead, text)
    return text


def page(text: str, head: str) -> str:
    """A page as GitHub shows a comment, made by GitHub's own parser."""
    body = cmarkgfm.markdown_to_html_with_extensions(
        unfolded(text),
        options=Options.CMARK_OPT_UNSAFE,
        extensions=["table", "strikethrough", "autolink"],
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><style>{STYLE}</style>'
        f"<article><header>{head}</header><main>{body}</main></article></html>"
    )


def unfolded(text: str) -> str:
    """With the section open that a reader looks at first: a diff, or what a command said."""
    parts = text.split("<details>")
    wanted = [n for n, part in enumerate(parts) if n and ("\ndiff:" in part or "exit code" in part)]
    for number in wanted[:1]:
        parts[number] = f"\0{parts[number]}"
    return "<details>".join(parts).replace("<details>\0", "<details open>")


def browse(browser: str, html: str, *words: str) -> bytes:
    """Let a browser without a window look at a page."""
    with tempfile.TemporaryDirectory(prefix="planlock-page-") as folder:
        file = Path(folder, "page.html")
        file.write_text(html, encoding="utf-8")
        quiet = [
            *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--disable-sync", "--disable-quic", f"--user-data-dir={folder}/profile"),
        ]
        argv = [browser, *quiet, *words, file.as_uri()]
        done = subprocess.run(argv, capture_output=True, timeout=120, check=True, cwd=folder)
        picture = Path(folder, "screenshot.png")
        return picture.read_bytes() if picture.exists() else done.stdout


def draw(browser: str, text: str, head: str) -> bytes:
    """A picture of a comment, which says in itself what text it shows."""
    shot = browse(
        browser,
        page(text, head),
        f"--window-size={WIDTH},{HEIGHT}",
        "--screenshot=screenshot.png",
    )
    return with_source(shot, digest(text))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def with_source(png: bytes, source: str) -> bytes:
    """The picture with a text chunk (PNG, 11.3.4.3) before its end."""
    data = SOURCE + source.encode()
    chunk = struct.pack(">I", len(data)) + b"tEXt" + data
    chunk += struct.pack(">I", zlib.crc32(b"tEXt" + data))
    end = png.rindex(b"IEND") - 4
    return png[:end] + chunk + png[end:]


def source_of(png: bytes) -> str:
    """What a picture says that it shows."""
    start = png.index(SOURCE) + len(SOURCE)
    return png[start : start + 64].decode()


HEADS = {
    "comment": "<b>github-actions</b> commented",
    "results": "<b>github-actions</b> wants to merge",
}


def write(browser: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="planlock-desk-") as folder:
        texts = played(Path(folder))
    for name, text in texts.items():
        if _is_of(FOLDER / f"{name}.png", text):
            continue
        (FOLDER / f"{name}.png").write_bytes(draw(browser, text, HEADS[name]))


def _is_of(file: Path, text: str) -> bool:
    """Whether a picture shows the text already: each drawing differs in a few pixels."""
    return file.exists() and source_of(file.read_bytes()) == digest(text)
