"""What is fuzzed: each target's module has `check`, `TOKENS` and `MAX_LENGTH`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
_REDACTION = tuple(
    f"runner.core.redaction{part}" for part in ("", "_forms", "_keys", "_known", "_shapes")
)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The modules whose branches guide the fuzzer; `one_in` inputs where one takes long."""

    modules: tuple[str, ...]
    one_in: int = 1


@dataclass(frozen=True, kw_only=True)
class Target:
    """A property of bytes, what the bytes are made of, and how many of them make sense."""

    name: str
    check: Callable[[bytes], None]
    tokens: tuple[bytes, ...]
    max_length: int

    @property
    def corpus(self) -> Path:
        return CORPUS / self.name

    def seeds(self) -> tuple[Path, ...]:
        return tuple(sorted(each for each in self.corpus.iterdir() if each.is_file()))


SUBJECTS: Mapping[str, Subject] = {
    "paths": Subject(modules=("runner.core.paths",)),
    "redaction": Subject(modules=_REDACTION, one_in=4),
    "redaction_stream": Subject(modules=(*_REDACTION, "runner.core.redaction_stream"), one_in=4),
    "rendering": Subject(modules=("runner.core.inert", "runner.core.text"), one_in=4),
    "yaml": Subject(
        modules=(
            *("runner.core.documents", "runner.core.text", "runner.core.yaml_nodes"),
            *("runner.core.yaml_reader", "runner.core.yaml_scalars", "runner.core.yaml_writer"),
        )
    ),
    "globs": Subject(modules=("runner.core.globs",)),
    "command_line": Subject(modules=("runner.core.command_line", "runner.core.command_starters")),
    "signatures": Subject(
        modules=("runner.git.sshsig", "runner.git.ssh_wire", "runner.git.certificates")
    ),
    "hosts": Subject(modules=("runner.core.hosts",)),
    "proxy": Subject(modules=("runner.sandbox.proxy_request",), one_in=4),
}


def load(name: str) -> Target:
    """Import the target's module, and with it what it tests."""
    module = importlib.import_module(f"tests.fuzz.target_{name}")
    return Target(name=name, check=module.check, tokens=module.TOKENS, max_length=module.MAX_LENGTH)
