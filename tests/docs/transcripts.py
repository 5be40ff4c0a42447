"""Plays the console blocks of a page with real git, keys and commands, and compares the outputs.

A page says `/home/ada` and `/srv/git`; they lie below a temporary folder while it is played.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.markdown import Block, blocks

ELISION = "…"
PLACES = ("/home/", "/srv/")
_MASKS = (
    (r"sha256:[0-9a-f]{64}", "sha256:DIGEST"),
    (r"\b[0-9a-f]{64}\b", "SHA256SUM"),
    (r"SHA256:[A-Za-z0-9+/]{43}", "SHA256:FINGERPRINT"),
    (r"AAAA[A-Za-z0-9+/]{50,}", "PUBLIC-KEY"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?Z", "TIME"),
    (r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b", "ULID"),
    (r"\b([0-9a-f]{40}|[0-9a-f]{12}|[0-9a-f]{7})\b", "COMMIT"),
    (r"\b[0-9]+\.[0-9]+ ?s\b", "SECONDS"),
    (r"bubblewrap [0-9.]+", "bubblewrap VERSION"),
    (r"\bgit version [0-9.]+", "git VERSION"),
)


def masked(text: str) -> str:
    """Replace what differs from run to run by its kind."""
    for pattern, word in _MASKS:
        text = re.sub(pattern, word, text)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def agrees(documented: str, real: str) -> bool:
    """Whether they are equal after masking; a line `…` stands for any number of lines."""
    shown, seen = masked(documented).split("\n"), masked(real).split("\n")
    parts = [".*" if line.strip() == ELISION else re.escape(line) for line in shown]
    return re.fullmatch("\n".join(parts), "\n".join(seen), re.DOTALL) is not None


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A command as a block shows it, with the output below it."""

    who: str
    command: str
    documented: str
    start: int
    end: int


def exchanges(block: Block) -> Iterator[Exchange]:
    """Split a console block at its prompts; a command line ending in a backslash goes on."""
    lines = block.text.splitlines(keepends=True)
    starts = [n for n, line in enumerate(lines) if line.startswith("$ ")]
    for first, after in zip(starts, [*starts[1:], len(lines)], strict=True):
        last = first
        while lines[last].endswith("\\\n"):
            last += 1
        offset = block.start + sum(map(len, lines[: last + 1]))
        documented = "".join(lines[last + 1 : after])
        yield Exchange(
            who=block.directives["as"],
            command="".join(lines[first : last + 1]).removeprefix("$ ").strip(),
            documented=documented,
            start=offset,
            end=offset + len(documented),
        )


@dataclass
class Story:
    """People at one machine; each has a home folder, a git identity and a place to stand."""

    base: Path
    places: dict[str, Path] = field(default_factory=dict)

    def home(self, who: str) -> Path:
        home = self.base / "home" / who
        if not home.exists():
            home.mkdir(parents=True)
            identity = f"[user]\n\tname = {who.capitalize()}\n\temail = {who}@example.com\n"
            (home / ".gitconfig").write_text(f"{identity}[init]\n\tdefaultBranch = main\n")
        return home

    def environment(self, who: str) -> dict[str, str]:
        tools = self.base / "bin"
        if not tools.exists():
            tools.mkdir(parents=True)
            (tools / "planlock").symlink_to(Path(sys.executable).parent / "planlock")
        return {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(self.home(who)),
            "LANG": "C.UTF-8",
            "COLUMNS": "96",
            "TERM": "xterm-256color",
            "GIT_CONFIG_NOSYSTEM": "1",
        }

    def place(self, who: str) -> Path:
        return self.places.setdefault(who, self.home(who))

    def run(self, who: str, command: str, *, terminal: bool = False) -> str:
        """Run one command line and give its output, with the exit code where it is not 0."""
        if found := re.fullmatch(r"cd (\S+)", command):
            folder = found[1].replace("~", str(self.home(who)), 1)
            self.places[who] = (self.place(who) / self._real(folder)).resolve(strict=True)
            return ""
        argv = ["bash", "-c", self._real(command)]
        output, code = (self._in_terminal if terminal else self._piped)(who, argv)
        text = output.decode().replace("\r\n", "\n").replace(str(self.base), "")
        return text + (f"(exit code {code})\n" if code else "")

    def write(self, who: str, name: str, text: str) -> None:
        path = self.place(who) / self._real(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _real(self, text: str) -> str:
        for place in PLACES:
            text = re.sub(rf"(?<![\w.]){place}", f"{self.base}{place}", text)
        return text

    def _piped(self, who: str, argv: list[str]) -> tuple[bytes, int]:
        done = subprocess.run(
            argv,
            cwd=self.place(who),
            env=self.environment(who),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.stdout, done.returncode

    def _in_terminal(self, who: str, argv: list[str]) -> tuple[bytes, int]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            argv,
            cwd=self.place(who),
            env=self.environment(who),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        output = b"".join(iter(lambda: _read(ours), b""))
        os.close(ours)
        return output, process.wait()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        # Linux says EIO where the other end of a terminal was closed.
        return b""


@dataclass(frozen=True, kw_only=True)
class Played:
    exchange: Exchange
    real: str

    @property
    def agrees(self) -> bool:
        return agrees(self.exchange.documented, self.real)


def play(story: Story, page: str) -> Iterator[Played]:
    """Do what a page says from top to bottom: save its files, type its commands."""
    for block in blocks(page):
        if "file" in block.directives:
            story.write(block.directives["as"], block.directives["file"], block.text)
        elif block.language == "console":
            for exchange in exchanges(block):
                yield Played(exchange=exchange, real=story.run(exchange.who, exchange.command))


def with_real_outputs(page: str, played: Sequence[Played]) -> str:
    """Write the real outputs into a page unless all that it shows agrees with them.

    All of them, since one shows the digests and ids of another; elisions that hold are kept.
    """
    if all(each.agrees for each in played):
        return page
    for each in sorted(played, key=lambda it: it.exchange.start, reverse=True):
        shown = each.exchange
        if not each.agrees or ELISION not in shown.documented.splitlines():
            page = page[: shown.start] + each.real + page[shown.end :]
    return page
