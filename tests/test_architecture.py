"""Imports point one way (design, section 14); those inside functions count too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "runner").rglob("*.py"))
}
OUTSIDE = ("git", "sandbox", "models", "github", "ledger")
ENTRY_POINTS = ("cli", "api", "web", "worker", "mcp")
PARTS: dict[str, tuple[str, ...]] = {
    "core": (),
    **dict.fromkeys(OUTSIDE, ("core",)),
    "steps": ("core",),
    "schemas": ("core",),
    "github_files": (),
    "simulator": ("core", "git"),
    "settings": ("core",),
    "project": (*OUTSIDE, "core", "steps", "schemas", "settings"),
    "verbs": (*OUTSIDE, "core", "steps", "schemas", "github_files", "settings", "project"),
    **dict.fromkeys(ENTRY_POINTS, ("verbs", "settings", "schemas", "core", "project")),
}
IMPURE = {
    *("os", "pathlib", "subprocess", "socket", "time", "random", "secrets", "shutil", "tempfile"),
    *("threading", "asyncio", "io", "sys", "signal", "urllib", "http", "logging", "glob"),
}
STARTS_PROCESSES = {
    "runner.git.command": "git, in the one way that a repository's settings cannot bend",
    "runner.git.objects_reader": "the long-lived `git cat-file`, with the same arguments",
    "runner.git.signing": "ssh-keygen, to sign with a person's key",
    "runner.sandbox.bubblewrap": "bwrap",
    "runner.sandbox.listener": "the program that listens inside a network of its own",
    "runner.sandbox.processes": "measures processes",
    "runner.sandbox.shell": "the shell inside",
    "runner.sandbox.selftest_scene": "the neighbour that attacks may hit",
    "runner.sandbox.supervise": "watches what the backends started",
    "runner.sandbox.launching": "the launcher, below which commands run without namespaces",
    "runner.cli.demo": "plays people who type git and planlock",
    "runner.cli.tampering": "plays an attacker who types git",
}
EXCEPTIONS = {
    (
        "runner.cli.demo",
        "runner.sandbox.commands",
    ): "leaves commands out where none can be confined",
    ("runner.cli.router", "runner.api.router_server"): "starts the service, lazily",
    ("runner.cli.github", "runner.simulator.server"): "starts the simulator, lazily",
}
CLOCKS = {"now", "utcnow", "today", "monotonic", "perf_counter", "time_ns"}


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(module: str) -> Iterator[str]:
    """Every module that one imports, wherever in its text; of a package, the module meant."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)


def ours(module: str) -> set[str]:
    return {name for name in imports(module) if name.split(".")[0] == "runner"}


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    """A part imports itself and what its layer allows, and nothing else of ours."""
    own = part(module)
    if not own:
        assert not ours(module)
        return
    allowed = {own, "", *PARTS[own]}
    strays = {name for name in ours(module) if part(name) not in allowed}
    assert {name for name in strays if (module, name) not in EXCEPTIONS} == set()


@pytest.mark.parametrize("module", [name for name in MODULES if part(name) == "core"])
def test_core_is_pure(module: str) -> None:
    """The rules do no I/O, ask no clock and draw no random numbers."""
    assert {name.split(".")[0] for name in imports(module)} & IMPURE == set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            assert called not in CLOCKS | {"open", "input", "print", "uuid4", "urandom"}


def test_few_modules_start_processes() -> None:
    """Who imports subprocess is known, with a reason; exactly one of them knows how to call git."""
    found = {name for name in MODULES if "subprocess" in set(imports(name))}
    assert found <= STARTS_PROCESSES.keys(), found - STARTS_PROCESSES.keys()
    asking = {
        name
        for name, path in MODULES.items()
        if part(name) == "git" and '["git",' in path.read_text()
    }
    assert asking == {"runner.git.command"}


def test_no_import_cycles() -> None:
    """No module imports itself through others."""
    graph = {name: ours(name) - {name} for name in MODULES}
    done: set[str] = set()
    while left := {name: used & graph.keys() - done for name, used in graph.items()}:
        free = {name for name, used in left.items() if not used}
        assert free, f"a cycle among {sorted(left)}"
        done |= free
        graph = {name: used for name, used in graph.items() if name not in free}


@pytest.mark.parametrize("module", MODULES)
def test_only_the_edge_catches_everything(module: str) -> None:
    """`except Exception` stands at an entry point's edge alone."""
    broad = [
        node.lineno
        for node in ast.walk(ast.parse(MODULES[module].read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") == "Exception")
    ]
    assert not broad or part(module) in ENTRY_POINTS, broad


def test_foreign_libraries_stay_in_their_part() -> None:
    """Database, GitPython, web server and the command line's library each have one place."""
    homes = {"sqlalchemy": "ledger", "alembic": "ledger", "git": "git", "click": "cli"}
    homes |= {"pygments": "cli", "httpx": "models github", "genai_prices": "models"}
    homes |= dict.fromkeys(("fastapi", "uvicorn", "starlette", "prometheus_client"), "api")
    for name in MODULES:
        tops = {each.split(".")[0] for each in imports(name)} & homes.keys()
        assert all(part(name) in homes[top].split() for top in tops), name
