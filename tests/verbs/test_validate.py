from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from team import call

from runner import schemas
from runner.core import documents
from runner.core.run import digest_bytes
from runner.verbs.validate import Report, validate

VALID: Final = Path(__file__).parents[1] / "examples/valid"
MINIMAL: Final = """\
version: 1
id: example
goal: Read a file
steps:
  - {id: read, step_type: read_file, description: Read it, input: {path: a.txt}}
"""
APPROVAL: Final = (VALID / "approval.yaml").read_text().replace("add-factorial", "example")
ULID: Final = "01JDA7Q4Z0M5W8K2N3P6R9T1V4"
POLICY: Final = (VALID / "policy.yaml").read_text()
KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
HEADER: Final = (VALID / "run.yaml").read_text().replace("add-factorial", "example")
RECORD: Final = (VALID / "record-end.yaml").read_text()


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def check(*paths: Path) -> Report:
    return validate(paths, load_schema=schemas.load)


def problems(*paths: Path) -> list[tuple[str, str]]:
    return [(Path(each.file).name, each.code) for each in check(*paths).problems]


def record_after(previous: str, *, ended_at: str = "2026-11-22T10:00:03Z") -> str:
    value = documents.parse(RECORD.encode(), file="record.yaml").value
    return documents.dump({**value, "previous": previous, "ended_at": ended_at}).decode()


def run_files(folder: str = "plans/example/runs/1") -> dict[str, str]:
    """A header and two records in a sound chain."""
    first = record_after(digest_bytes(HEADER.encode()))
    second = record_after(digest_bytes(first.encode()))
    return {
        f"{folder}/run.yaml": HEADER,
        f"{folder}/001-read.yaml": first,
        f"{folder}/002-end.yaml": second,
    }


def governed(root: Path) -> Path:
    return write(
        root,
        {
            "plans/policy.yaml": POLICY,
            "plans/allowed_signers": f'ada@example.com namespaces="git" {KEY}\n',
            "plans/example/plan.yaml": MINIMAL,
            f"plans/example/approvals/{ULID}.yaml": APPROVAL,
            f"plans/example/approvals/{ULID}.yaml.sig": "not read here\n",
            "plans/example/runs/1/calls/002-1.yaml": "no document of ours: *x\n",
            "mkdocs.yaml": "site_name: not ours\n",
            **run_files(),
        },
    )


def test_a_repository_is_checked_with_all_that_lies_below_plans(tmp_path: Path) -> None:
    """Each file is judged as what its place makes it; stored calls and other folders are not."""
    report = check(governed(tmp_path))
    assert report.problems == ()
    assert [(Path(each.file).name, each.kind) for each in report.checked] == [
        ("allowed_signers", "signers"),
        (f"{ULID}.yaml", "approval"),
        ("plan.yaml", "plan"),
        ("001-read.yaml", "record"),
        ("002-end.yaml", "record"),
        ("run.yaml", "run"),
        ("policy.yaml", "policy"),
    ]


def test_a_file_elsewhere_is_judged_by_its_keys(tmp_path: Path) -> None:
    """Names that say nothing leave it to what stands inside."""
    names = {
        "a.yaml": ("plan", MINIMAL),
        "b.yaml": ("policy", POLICY),
        "c.yml": ("approval", APPROVAL),
        "d.yaml": ("run", HEADER),
        "e.yaml": ("record", RECORD),
    }
    report = check(write(tmp_path, {name: text for name, (_, text) in names.items()}))
    assert report.problems == ()
    assert [each.kind for each in report.checked] == [kind for kind, _ in names.values()]


def test_a_file_that_tells_nothing_is_judged_as_a_plan(tmp_path: Path) -> None:
    """Nothing below plans/ is skipped for being strange."""
    files = {"plans/notes.yaml": "[a, b]\n", "plans/broken.yaml": "a: b: c\n"}
    report = check(write(tmp_path, files))
    assert [each.kind for each in report.checked] == ["plan", "plan"]
    assert {each.code for each in report.problems} == {"wrong_type", "syntax"}


def test_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    """They are ordered by file and line."""
    files = {"b/plan.yaml": "version: 2\nid: B\n", "a/policy.yaml": "version: 1\n"}
    found = check(write(tmp_path, files)).problems
    assert [(Path(each.file).name, each.path) for each in found] == [
        ("policy.yaml", "people"),
        ("policy.yaml", "repository"),
        ("plan.yaml", "goal"),
        ("plan.yaml", "steps"),
        ("plan.yaml", "version"),
        ("plan.yaml", "id"),
    ]


@pytest.mark.parametrize(
    "name, text, path",
    [
        ("plans/other/plan.yaml", MINIMAL, "id"),
        (f"plans/other/approvals/{ULID}.yaml", APPROVAL, "plan"),
        ("plans/example/approvals/01JDA7Q4Z0M5W8K2N3P6R9T1V5.yaml", APPROVAL, "id"),
        ("elsewhere/approvals/01JDA7Q4Z0M5W8K2N3P6R9T1V5.yaml", APPROVAL, "id"),
        ("plans/other/runs/1/run.yaml", HEADER, "plan"),
        ("plans/example/runs/2/run.yaml", HEADER, "run"),
    ],
)
def test_a_file_must_lie_where_its_content_belongs(
    tmp_path: Path, name: str, text: str, path: str
) -> None:
    """Copied to another plan, run or name it is misplaced, at the field that says so."""
    (problem,) = check(write(tmp_path, {name: text})).problems
    assert (problem.code, problem.path) == ("misplaced", path)
    assert problem.line > 0


def test_a_plan_may_be_called_like_the_folders_around_it(tmp_path: Path) -> None:
    """`plans`, `runs`, `approvals` and `calls` are names of plans like any other."""
    files = {
        f"plans/{name}/plan.yaml": MINIMAL.replace("id: example", f"id: {name}")
        for name in ("plans", "runs", "approvals", "calls")
    }
    files[f"plans/runs/approvals/{ULID}.yaml"] = APPROVAL.replace("plan: example", "plan: runs")
    for folder in (write(tmp_path, files), tmp_path / "plans"):
        report = check(folder)
        assert report.problems == ()
        assert len(report.checked) == 5


@pytest.mark.parametrize("name", ["run.yaml", "001-read.yaml"])
def test_a_changed_record_breaks_the_chain(tmp_path: Path, name: str) -> None:
    """The record behind it no longer names its digest."""
    path = governed(tmp_path) / "plans/example/runs/1" / name
    path.write_text(path.read_text() + "note: added later\n")
    (problem,) = check(tmp_path).problems
    assert problem.code == "broken_chain"
    assert "`previous` is not the digest of the record before it" in problem.message


def test_a_removed_record_breaks_the_chain(tmp_path: Path) -> None:
    """Number and digest of the next one do not follow."""
    (governed(tmp_path) / "plans/example/runs/1/001-read.yaml").unlink()
    assert problems(tmp_path) == [("002-end.yaml", "broken_chain")] * 2


def test_records_may_not_go_back_in_time(tmp_path: Path) -> None:
    """The problem is the run's, since each record alone is fine."""
    files = run_files()
    first = files["plans/example/runs/1/001-read.yaml"].encode()
    second = record_after(digest_bytes(first), ended_at="2026-11-22T10:00:01Z")
    files["plans/example/runs/1/002-end.yaml"] = second
    assert problems(write(tmp_path, files)) == [("run.yaml", "broken_chain")]


def test_records_without_their_header_are_a_problem(tmp_path: Path) -> None:
    """A chain hangs on run.yaml."""
    (governed(tmp_path) / "plans/example/runs/1/run.yaml").unlink()
    assert problems(tmp_path) == [("run.yaml", "not_found")]


def test_a_stranger_among_the_records_is_judged_as_one(tmp_path: Path) -> None:
    """A valid plan in a run's folder is no record, and a record of a wrong name no link."""
    folder = governed(tmp_path) / "plans/example/runs/1"
    write(folder, {"notes.yaml": MINIMAL})
    assert {name for name, _ in problems(tmp_path)} == {"notes.yaml"}
    write(folder, {"notes.yaml": RECORD})
    assert ("notes.yaml", "broken_chain") in problems(tmp_path)


def test_the_place_of_a_relative_path_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From within a run's folder its files are the same."""
    monkeypatch.chdir(governed(tmp_path) / "plans/example/runs/1")
    report = check(Path())
    assert report.problems == ()
    assert [each.kind for each in report.checked] == ["record", "record", "run"]
    Path("001-read.yaml").unlink()
    assert len(check(Path("../1")).problems) == 2


def test_a_file_named_twice_is_checked_once(tmp_path: Path) -> None:
    """A folder and a file in it may both be given."""
    write(tmp_path, {"plans/example/plan.yaml": "version: 1\n"})
    report = check(tmp_path, tmp_path / "plans", tmp_path / "plans/example/plan.yaml")
    assert len(report.checked) == 1
    assert len(report.problems) == 3


def test_what_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """A misspelt path, or a folder with nothing to check, must not look like success."""
    (tmp_path / "empty").mkdir()
    found = problems(tmp_path / "none.yaml", tmp_path / "empty")
    assert found == [("empty", "not_found"), ("none.yaml", "not_found")]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Only regular files are opened."""
    os.mkfifo(tmp_path / "plan.yaml")
    assert problems(tmp_path) == [("plan.yaml", "unreadable")]


def test_a_link_is_a_problem_and_not_followed(tmp_path: Path) -> None:
    """Linked files and folders are neither read nor skipped in silence."""
    write(tmp_path / "outside", {"plan.yaml": "version: 2\n"})
    folder = write(tmp_path / "inside", {"plan.yaml": MINIMAL})
    (folder / "linked").symlink_to(tmp_path / "outside")
    (folder / "policy.yaml").symlink_to(tmp_path / "outside/plan.yaml")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    report = check(folder)
    assert {(Path(each.file).name, each.code) for each in report.problems} == {
        ("linked", "symlink"),
        ("policy.yaml", "symlink"),
        ("loop.yaml", "symlink"),
    }
    assert [each.kind for each in report.checked] == ["plan"]
    assert problems(folder / "loop.yaml") == [("loop.yaml", "unreadable")]


def test_a_path_that_cannot_be_looked_up_is_a_problem(tmp_path: Path) -> None:
    """The system's reason is told."""
    (problem,) = check(tmp_path / ("x" * 300)).problems
    assert (problem.code, problem.message) == ("unreadable", "reading it: File name too long")


def test_a_folder_that_cannot_be_listed_is_a_problem(tmp_path: Path) -> None:
    """Paths longer than the system takes stand in for missing permissions, which root ignores."""
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=at)
        below = os.open("x" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    (problem,) = check(tmp_path).problems
    assert problem.code == "unreadable"


def test_B05_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    """This holds for the keys as well, which are no YAML."""
    for name in ("plan.yaml", "notes.yaml", "allowed_signers"):
        (tmp_path / name).write_bytes(b"#" * 1_000_001)
    found = check(tmp_path)
    assert {each.code for each in found.problems} == {"too_large"}
    assert [each.kind for each in found.checked] == ["signers", "plan", "plan"]


def test_keys_that_count_for_nobody_are_problems(tmp_path: Path) -> None:
    """Bad lines are refused, and so are well-formed ones that together name nobody."""
    line = f'ada@example.com namespaces="git" {KEY}\n'
    authority = f'{line}*@example.com cert-authority,namespaces="git" {KEY}\n'
    write(
        tmp_path, {"a/allowed_signers": f"ada@example.com {KEY}\n", "b/allowed_signers": authority}
    )
    found = check(tmp_path).problems
    assert [(each.line, each.code) for each in found] == [
        (1, "no_namespaces"),
        (2, "ambiguous_key"),
    ]
    assert all(each.fix for each in found)


def test_git_itself_is_not_looked_into(tmp_path: Path) -> None:
    """A folder without plans/ is walked whole, but for .git."""
    write(tmp_path, {".git/plan.yaml": "x: 1\n", "plan.yaml": MINIMAL})
    assert [each.kind for each in check(tmp_path).checked] == ["plan"]


def test_validating_loads_nothing_heavy() -> None:
    """Neither the database, git, HTTP nor cryptography are imported."""
    code = (
        "import sys, runner.verbs.validate\n"
        "heavy = {'sqlalchemy', 'git', 'httpx', 'alembic', 'cryptography', 'runner.git.signers'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_schemas_are_found_in_an_installed_package(tmp_path: Path) -> None:
    """In a wheel they lie inside the package."""
    root = Path(__file__).parents[2]
    shutil.copytree(root / "runner", tmp_path / "runner")
    shutil.copytree(root / "schemas", tmp_path / "runner/schemas")
    code = "from runner import schemas; print(len([schemas.load(name) for name in schemas.NAMES]))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("6\n", "")


def test_repository_is_found_from_a_folder_in_it(tmp_path: Path) -> None:
    """Without a path the plans/ of the repository around are checked, wherever one stands."""
    write(tmp_path, {"plans/example/plan.yaml": MINIMAL, "src/deep/a.txt": "", ".git/HEAD": ""})
    environment = {"PATH": os.environ["PATH"]}
    for folder in ("src/deep", "plans/example", "."):
        done = call(tmp_path / folder, environment, "validate", "--json")
        assert done.code == 0, done.text
        assert [each["kind"] for each in done.json["checked"]] == ["plan"]
