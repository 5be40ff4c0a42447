"""What the gate decides on is as it is now, and costs nothing where nothing moved."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from authority import limit
from tampering import copy
from team import EDIT, READ, Team, surroundings

from runner.core.errors import AuthorityRefused
from runner.project import Project, real_world
from runner.verbs import evidence
from runner.verbs.evidence import Evidence

BEFORE = datetime(2098, 12, 31, tzinfo=UTC)
AFTER = datetime(2099, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Team:
    """A plan by ada that bob has approved."""
    team = Team.governed(tmp_path_factory.mktemp("governed"), "bob", "cleo")
    team.propose("job", READ + EDIT)
    team.approve("bob", "job")
    return team


@pytest.fixture
def team(ready: Team, tmp_path: Path) -> Team:
    return copy(ready, tmp_path)


@contextmanager
def opened(team: Team) -> Iterator[Project]:
    with surroundings(team.root, team.environment("ada")), Project(real_world()) as project:
        yield project


def gathered(project: Project, *, now: datetime = BEFORE) -> Evidence:
    return evidence.gather(project, evidence.find_plan(project, "job"), now=now)


def deciders(found: Evidence) -> set[str]:
    """Who decided something, with a key that counts at the time."""
    return {vote.record.approver.partition("@")[0] for vote in found.votes if vote.current}


def test_where_nothing_moved_nothing_is_judged_again(team: Team) -> None:
    """The second answer is the very first one."""
    with opened(team) as project:
        first, second = gathered(project), gathered(project)
        assert second.votes is first.votes
        assert second.provenance is first.provenance


def test_a_decision_that_comes_later_is_seen(team: Team) -> None:
    """Refs are read anew each time, and what is new on them counts at once."""
    with opened(team) as project:
        assert deciders(gathered(project)) == {"bob"}
        team.approve("cleo", "job")
        assert deciders(gathered(project)) == {"bob", "cleo"}


@pytest.mark.parametrize("who", ["ada", "bob"])
def test_a_key_counts_until_it_ends(team: Team, who: str) -> None:
    """Whose key has ended meanwhile has signed neither plan nor approval, whatever was said."""
    limit(team, who, 'valid-before="20990101Z"')
    team.git("commit", "-q", "-a", "-m", "Limit a key")
    with opened(team) as project:
        assert deciders(gathered(project)) == {"bob"}
        assert not gathered(project).provenance.unsigned
        ended = gathered(project, now=AFTER)
        assert deciders(ended) == {"bob"} - {who}
        assert bool(ended.provenance.unsigned) == (who == "ada")
        assert deciders(gathered(project)) == {"bob"}


def test_a_key_that_is_taken_away_counts_no_more(team: Team) -> None:
    """A new authority judges all that an older one had judged."""
    with opened(team) as project:
        assert deciders(gathered(project)) == {"bob"}
        keys = team.root / "plans/allowed_signers"
        lines = keys.read_text().splitlines(keepends=True)
        keys.write_text("".join(line for line in lines if not line.startswith("bob@")))
        team.git("commit", "-q", "-a", "-m", "Bob left")
        assert deciders(gathered(project)) == set()


def test_a_file_beside_the_plan_is_seen_at_once(team: Team) -> None:
    """A plan branch that moved is compared with its base anew."""
    with opened(team) as project:
        assert not gathered(project).provenance.problems
        team.git("checkout", "-q", "-f", "plan/job")
        team.commit({"conftest.py": "x = 1\n"}, "Slip in")
        (problem,) = gathered(project).provenance.problems
        assert "conftest.py" in problem.message


def test_a_trusted_ref_that_moves_back_is_refused(team: Team) -> None:
    """What was remembered of a commit does not make it the trusted one."""
    with opened(team) as project:
        gathered(project)
        team.commit({"x": "1"}, "Go on")
        gathered(project)
        team.git("reset", "-q", "--hard", "HEAD~1")
        with pytest.raises(AuthorityRefused, match="rewritten"):
            gathered(project)


def test_a_base_that_comes_later_is_found(team: Team) -> None:
    """That a commit is missing, or not on the trusted history, is not remembered."""
    team.git("checkout", "-q", "-b", "ahead")
    base = team.commit({"x": "1"}, "Ahead of main")
    team.git("checkout", "-q", "main")
    tip = team.git("rev-parse", "plan/job")
    text = team.show_file(tip, "plans/job/plan.yaml") + "\n"
    old = team.git("merge-base", tip, "main")
    team.git("checkout", "-q", "-B", "plan/job", base)
    team.commit({"plans/job/plan.yaml": text.replace(old, base)}, "Another base")
    team.git("update-ref", "-d", "refs/planlock/seen/plan/job")
    team.git("checkout", "-q", "main")
    with opened(team) as project:
        (problem,) = gathered(project).provenance.problems
        assert problem.code == "base_untrusted"
        team.git("merge", "-q", "--ff-only", "ahead")
        assert not gathered(project).provenance.problems


def counting_git(folder: Path) -> Path:
    """Put a `git` there that notes each of its starts, and then is git."""
    folder.mkdir()
    log, program = folder / "log", folder / "git"
    program.write_text(f'#!/bin/sh\necho "$*" >> {log}\nexec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    return log


@pytest.mark.parametrize("folder", ["heads", "packed"])
def test_a_step_more_asks_git_nothing_more(tmp_path: Path, folder: str) -> None:
    """However many steps a plan has, its history is asked of git as often."""
    starts = []
    for count in (2, 7):
        team = Team.governed(tmp_path / str(count), "bob")
        team.propose("job", "".join(READ.replace("read", f"s{at}", 1) for at in range(count)))
        team.approve("bob", "job")
        if folder == "packed":
            team.git("pack-refs", "--all")
        log = counting_git(tmp_path / f"bin{count}")
        path = f"{log.parent}:{team.environment('ada')['PATH']}"
        done = team.cli("ada", "run", "job", env={"PATH": path})
        assert done.code == 0, done.text
        words = [line.split() for line in log.read_text().splitlines()]
        asked = {"log", "rev-list", "diff-tree", "merge-base", "rev-parse", "for-each-ref"}
        starts.append(sorted(word for line in words for word in line if word in asked))
    assert starts[0] == starts[1]
