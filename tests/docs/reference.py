"""Renders the generated sections of the docs from schemas, commands, errors, settings and tests."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from runner import schemas
from runner.cli import main as cli
from runner.core.documents import dump
from runner.core.errors import PlanlockError
from runner.core.risks import MEANINGS
from runner.sandbox.bubblewrap import Bubblewrap
from runner.sandbox.landlock import Landlock
from runner.sandbox.selftest import Attack, Kind
from runner.sandbox.selftest_attacks import ATTACKS
from runner.settings import SETTINGS
from runner.verbs.audit_findings import CODES
from tests.docs import codes
from tests.docs.cases import CASES
from tests.docs.markdown import ROOT, with_section

_CASE = re.compile(r"def test_(?P<case>[A-F][0-9]{2})_")
# A longer example would widen its table beyond what a page shows.
EXAMPLE = 90
_CONSTRAINTS = ("minItems", "maxItems", "minimum", "maximum")


def sections() -> Mapping[str, Mapping[str, str]]:
    """Every generated section, by page and by name."""
    return {
        "plan-format.md": {"plan": fields("plan"), "text": texts("plan")},
        "policy.md": {"policy": fields("policy"), "risks": risk_labels()},
        "approvals.md": {"approval": fields("approval")},
        "models.md": {"models": fields("models")},
        "audit.md": {"run": fields("run"), "record": fields("record")},
        "commands.md": {"commands": commands()},
        "settings.md": {"settings": settings()},
        "security-model.md": {"cases": cases()},
        "sandbox-attacks.md": {"attacks": attacks(), "cases": cases_of("CDE")},
        "errors.md": {
            "classes": error_classes(),
            "reasons": _code_table(codes.REASONS),
            "failures": _code_table(codes.FAILURES),
            "paths": _code_table(codes.PATHS),
            "problems": _code_table(codes.PROBLEMS),
            "findings": _code_table({code: _lowered(text) for code, text in CODES.items()}),
        },
    }


def risk_labels() -> str:
    return table(["risk", "the step"], ([f"`{name}`", text] for name, text in MEANINGS.items()))


def page(name: str) -> str:
    """A page of docs/ as it should be: its generated sections written anew."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    for section, body in sections()[name].items():
        text = with_section(text, section, body)
    return text


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _code_table(meanings: Mapping[str, str]) -> str:
    return table(["code", "meaning"], ([f"`{code}`", text] for code, text in meanings.items()))


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")


def fields(name: str) -> str:
    """A table for a schema's own fields and one for each mapping inside."""
    schema = schemas.load(name)
    parts = [_mapping_table(schema, schema)]
    for definition in schema["$defs"].values():
        if "properties" in definition:
            title = f"### {definition.get('title', '')}\n\n{definition.get('description', '')}"
            parts.append(f"{title}\n\n{_mapping_table(definition, schema)}")
    return "\n\n".join(parts)


def texts(name: str) -> str:
    """A table of the forms that texts may have."""
    rows = []
    for definition in schemas.load(name)["$defs"].values():
        if "properties" not in definition:
            example = _example(definition)
            rows.append([definition["title"], definition["description"], example])
    return table(["form", "what it may be", "example"], rows)


def _mapping_table(mapping: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    required = mapping.get("required", ())
    rows = []
    for name, field in mapping["properties"].items():
        need = "yes" if name in required else ""
        rows.append(
            [f"`{name}`", _kind(field, schema), need, field.get("description", ""), _example(field)]
        )
    return table(["field", "type", "required", "meaning", "example"], rows)


def _kind(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    parts = [_base_kind(field, schema)]
    for name in _CONSTRAINTS:
        if name in field:
            bound = "at least" if name.startswith("min") else "at most"
            unit = (
                "" if not name.endswith("Items") else " entry" if field[name] == 1 else " entries"
            )
            parts.append(f"{bound} {field[name]:,}{unit}")
    if "default" in field:
        parts.append(f"default {_code(field['default'])}")
    return ", ".join(parts)


def _base_kind(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "const" in field:
        return _code(field["const"])
    if "enum" in field:
        return " or ".join(_code(each) for each in field["enum"] if each is not None)
    if "items" in field:
        return f"list of {_base_kind(field['items'], schema)}"
    if "$ref" in field:
        definition = schema["$defs"][field["$ref"].rsplit("/", 1)[1]]
        title = str(definition.get("title", "mapping"))
        return _anchor(title) if "properties" in definition else title
    if isinstance(extra := field.get("additionalProperties"), dict):
        return f"mapping to {_base_kind(extra, schema)}"
    return str(field.get("title") or _first_type(field))


def _first_type(field: Mapping[str, Any]) -> str:
    named = field.get("type", "value")
    first = named if isinstance(named, str) else named[0]
    return {"object": "mapping", "array": "list", "string": "text"}.get(first, str(first))


def _anchor(title: str) -> str:
    return f"[{title}](#{title.lower().replace(' ', '-')})"


def _code(value: Any) -> str:
    return f"`{json.dumps(value)}`"


def _example(field: Mapping[str, Any]) -> str:
    examples = field.get("examples", [])
    if not examples:
        return ""
    text = _flow(examples[0])
    return f"`{text}`" if len(text) <= EXAMPLE else ""


def _flow(value: Any) -> str:
    """Write a value on one line, as YAML has it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str) and "\n" in value:
        return json.dumps(value, ensure_ascii=False)
    return dump({"x": value}).decode().removeprefix("x: ").strip()


def each_command() -> Iterator[tuple[str, click.Command]]:
    """Every command that can be called, with its full name."""
    yield from _below("planlock", cli.planlock)


def _below(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for each in command.list_commands(context):
        child = command.get_command(context, each)
        if child is not None:
            yield from _below(f"{name} {each}", child)


def commands() -> str:
    return "\n\n".join(_command(name, command) for name, command in each_command())


def _command(name: str, command: click.Command) -> str:
    # click remembers the help option that it first made: make it with the names of the real one
    with click.Context(command, info_name=name, **cli.planlock.context_settings) as context:
        usage = " ".join([name, *command.collect_usage_pieces(context)])
    options = [each for each in command.params if isinstance(each, click.Option)]
    parts = [f"## `{name}`", inspect.cleandoc(command.help or ""), f"```text\n{usage}\n```"]
    if options:
        parts.append(table(["option", "meaning"], map(_option, options)))
    return "\n\n".join(parts)


def _option(option: click.Option) -> list[str]:
    names = ", ".join(option.opts)
    if isinstance(option.type, click.Choice):
        names += f" {'|'.join(map(str, option.type.choices))}"
    elif not option.is_flag:
        names += f" {option.metavar or option.type.name.upper()}"
    required = "Required. " if option.required else ""
    return [f"`{names}`", f"{required}{option.help or ''}"]


def settings() -> str:
    rows = [[f"`{it.variable}`", f"`{it.config}`", it.meaning] for it in SETTINGS]
    return table(["environment", "git configuration", "meaning"], rows)


def each_error() -> list[type[PlanlockError]]:
    """Every class below PlanlockError, itself included, as the source has them."""
    for path in sorted((ROOT / "runner").rglob("*.py")):
        if "PlanlockError" in (text := path.read_text(encoding="utf-8")) or "Error)" in text:
            _import(path)
    return list(_with_subclasses(PlanlockError))


def _import(path: Path) -> None:
    if "migrations" not in path.parts:
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def _with_subclasses(base: type[PlanlockError]) -> Iterator[type[PlanlockError]]:
    yield base
    for each in base.__subclasses__():
        yield from _with_subclasses(each)


def error_classes() -> str:
    ours = [each for each in each_error() if each.__module__.startswith("runner.")]
    rows = [[f"`{it.code}`", str(it.exit_code), codes.ERRORS.get(it.code, "")] for it in ours]
    return table(["code", "exit code", "meaning"], [*rows, ["`bug`", "70", codes.ERRORS["bug"]]])


def cases() -> str:
    """Which attack cases have a test with their name, in which files, and which have none."""
    missing = ", ".join(sorted(set(CASES) - set(_case_files())))
    closing = f"Without a test of that name in this repository yet: {missing}."
    return f"{cases_of('ABCDEF')}\n\n{closing}"


def cases_of(groups: str) -> str:
    """Tabulate the cases of some groups that have a test with their name."""
    rows = [
        [case, CASES[case], ", ".join(f"[{Path(it).name}](../{it})" for it in sorted(files))]
        for case, files in sorted(_case_files().items())
        if case[0] in groups
    ]
    return table(["case", "what is tried", "tests"], rows)


def _case_files() -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for match in _CASE.finditer(path.read_text(encoding="utf-8")):
            found.setdefault(match["case"], set()).add(path.relative_to(ROOT).as_posix())
    return found


def attacks() -> str:
    """Tabulate the attacks of the self-test, with what each backend is declared to hold."""
    kinds: tuple[Kind, ...] = ("bubblewrap", "landlock")
    rows = [
        [it.case, it.title, *(_word(it, kind) for kind in kinds), _WITHOUT[it.free]]
        for it in ATTACKS
    ]
    return table(["case", "attack", "bubblewrap", "Landlock", "without a sandbox"], rows)


def _word(attack: Attack, kind: Kind) -> str:
    """As `planlock doctor --sandbox` says it."""
    if kind in attack.held_by:
        return "held"
    return "refused" if attack.network and not _HAS_PROXY[kind] else "open"


_HAS_PROXY: Mapping[Kind, bool] = {
    "bubblewrap": Bubblewrap.has_proxy,
    "landlock": Landlock.has_proxy,
}


_WITHOUT = {
    "anybody": "gets out",
    "root": "gets out as root",
    "nobody": "held",
    "depends": "depends on the machine",
    "untried": "not tried",
}
