"""Rules and steps of every kind, for what must hold of all of them."""

from __future__ import annotations

from typing import Any

from gate_cases import make_policy
from hypothesis import strategies as st

from runner.core.plan import Step
from runner.core.plan_checks import BUILT_IN
from runner.core.policy import Policy
from runner.core.risks import LABELS

_PATHS = (
    "docs/a.md",
    "DOCS/a.md",
    "infra/x.tf",
    ".github/workflows/w.yml",
    "plans/policy.yaml",
    "a",
    "é",
)
_GLOBS = ("docs/**", "infra/*", "**", "*", ".github/**", "in*/**", "docs/?.md", "plans/**", "a")
_COMMANDS = ("make", "make test; make lint", "env make", "$x", "make && (", "A=1 make", "make $x")
_PATTERNS = ("make", "make **", "**", "* test", "make lint", "curl **")
_TYPES = (None, *BUILT_IN)
_ROLES = ("maintainer", "security", "owner")

names = st.integers(0, 9).map("rule {}".format)
counts = st.integers(0, 3)
places = st.dictionaries(st.sampled_from(_ROLES), st.integers(1, 2), min_size=1)


def step(step_type: str, **given: Any) -> Step:
    return Step(id="s", step_type=step_type, description="d", input=given)


@st.composite
def matches(draw: st.DrawFn) -> dict[str, Any]:
    """Whatever a `match` may say."""
    kind = draw(st.sampled_from(["none", "path", "command"]))
    types = {"none": _TYPES, "path": (None, "read_file", "edit_file", "run_command")}
    made: dict[str, Any] = {
        "step_type": draw(st.sampled_from(types.get(kind, (None, "run_command")))),
        "risk": draw(st.sampled_from([None, None, None, *LABELS])),
    }
    if kind == "path":
        made["path"] = draw(st.sampled_from(_GLOBS))
    if kind == "command":
        made["command"] = draw(st.sampled_from(_PATTERNS))
    return made


@st.composite
def asking(draw: st.DrawFn) -> dict[str, Any]:
    """A rule that asks for approvals, or for none."""
    ways = [{"approvals": draw(counts)}, {"quorum": draw(places)}]
    terms = {
        "assurance": draw(st.sampled_from([None, "server", "hardware"])),
        "expires_after": draw(st.sampled_from([None, "4h"])),
    }
    return {"name": draw(names), "match": draw(matches()), **draw(st.sampled_from(ways)), **terms}


@st.composite
def denying(draw: st.DrawFn) -> dict[str, Any]:
    return {"name": draw(names), "match": draw(matches()), "deny": "by hand"}


rules = st.lists(st.one_of(asking(), asking(), denying()), max_size=5)


def policy_of(given: list[dict[str, Any]]) -> Policy:
    return make_policy(*given).policy


@st.composite
def _commands(draw: st.DrawFn) -> Step:
    return step(
        "run_command",
        command=draw(st.sampled_from(_COMMANDS)),
        writes=draw(st.lists(st.sampled_from(_GLOBS), max_size=2)),
        env=draw(st.sampled_from([{}, {}, {"A": "1"}, {"BASH_ENV": "x"}])),
        network=draw(st.sampled_from([[], [], ["a.org"]])),
        working_dir=draw(st.sampled_from([".", ".", "sub"])),
    )


steps = st.one_of(
    st.sampled_from(_PATHS).map(lambda path: step("read_file", path=path)),
    st.sampled_from(_PATHS).map(lambda path: step("edit_file", path=path, new_content="x")),
    st.sampled_from(_PATHS).map(lambda path: step("edit_file", path=path, delete=True)),
    _commands(),
    st.sampled_from(["analyze", "summarize"]).map(lambda kind: step(kind, instruction="x")),
    st.sampled_from(["deploy", "edit_file"]).map(lambda kind: step(kind, odd=["x"])),
)
