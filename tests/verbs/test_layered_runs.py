"""Runs in a large repository: commands see a shared checkout beneath the run's own few files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from forging import codes
from surroundings import without_rights
from team import EDIT, READ, Result, Team, command

from runner.git.machine import this_boot
from runner.git.shared_checkouts import FEW

MANY = {f"src/{number % 20}/{number}.txt": f"{number}\n" for number in range(FEW)}
WRITES = 'writes: ["**"]\n'
LAYERED = 'grep -q "^overlay $PWD " /proc/self/mounts'
pytestmark = pytest.mark.usefixtures("confined")


@pytest.fixture
def large(team: Team) -> Team:
    team.commit({**MANY, ".gitignore": "*.log\n", "old/a": "a\n", "old/b": "b\n"}, "Files")
    return team


def run(team: Team, *steps: str, name: str = "job") -> Result:
    team.propose(name, "".join(steps))
    team.approve("bob", name)
    return team.cli("ada", "run", name, "--json")


def checkouts(team: Team) -> list[Path]:
    folder = team.root / ".git/planlock/checkouts" / f"trees-{this_boot()}"
    return [each for each in folder.glob("*") if each.is_dir()]


def files(folder: Path) -> Mapping[str, str]:
    every = (each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_text() for each in every}


def kept(team: Team, name: str = "job") -> set[str]:
    """What the run changed, but for its own records."""
    words = team.git("diff", "--name-status", "--no-renames", "main", f"planlock/{name}/1")
    lines = (line.replace("\t", " ") for line in words.split("\n"))
    return {line for line in lines if " plans/" not in line}


def test_steps_and_commands_see_one_tree(large: Team) -> None:
    """What each changes the next one sees, and the run's branch has exactly that."""
    first = "rm -r old; echo 2 > src/1/1.txt; mv src/2/2.txt src/2/moved; echo x > y.log"
    look = "git status --porcelain | grep -v plans/; test -e y.log -a ! -e old; cat src/2/moved"
    see = command(
        f"{LAYERED}; test -z \"$({look} 2>&1 | grep -v '^2$')\"; tail -1 utils.py", name="see"
    )
    done = run(large, command(first, name="first", more=WRITES), EDIT, see)
    assert done.code == 0, done.text
    assert kept(large) == {
        *("D old/a", "D old/b", "M src/1/1.txt", "D src/2/2.txt", "A src/2/moved", "M utils.py"),
    }
    assert large.cli("ada", "audit").code == 0


def test_one_checkout_serves_many_runs(large: Team) -> None:
    """Runs of trees that differ little share it, and none of them changes it."""
    assert run(large, command(f"{LAYERED} && rm -r src/1 old", more=WRITES)).code == 0
    (made,) = checkouts(large)
    assert files(made).items() >= MANY.items()
    large.commit({"src/3/new": "new\n", "src/3/3.txt": "other\n"}, "More")
    see = command(f"{LAYERED} && cat src/3/new src/1/1.txt old/a && grep other src/3/3.txt")
    assert run(large, see, name="next").code == 0
    assert checkouts(large) == [made]
    assert files(made).items() >= MANY.items()


def test_without_commands_there_is_none(large: Team) -> None:
    """A run that only reads and edits writes neither a checkout nor the other files."""
    assert run(large, READ, EDIT).code == 0
    assert checkouts(large) == []


@pytest.mark.parametrize(
    "script, code",
    [
        ("rm src/1/1.txt", "unapproved_change"),
        ("rm -r old; mkdir old; touch old/b", "unapproved_change"),
        ("mv src/2 src/away", "unapproved_change"),
        ("rm -r old; ln -s src old", "unapproved_change"),
        ("touch src/new.txt", "unapproved_change"),
        ("mkfifo old/pipe", "workspace_special_file"),
        ("git init -q old", "workspace_git_dir"),
        ("truncate -s 900M old/a", "workspace_too_large"),
        ("chmod -R a-w src old; touch src/1/1.txt; ln old/a old/c.log; mkdir -p x/y", ""),
    ],
)
def test_what_a_command_leaves_is_found(large: Team, script: str, code: str) -> None:
    """It fails the step as it does in a small repository; the next attempt has the tree again."""
    done = run(large, command(f"{LAYERED} && {{ {script}; }}"))
    assert codes(done) == ([code] if code else [])
    assert kept(large) == set()


def test_gc_takes_the_checkout_and_the_next_run_makes_it_again(large: Team) -> None:
    """While no command needs it, it is only the disk's room."""
    see = command(f"{LAYERED} && cat src/1/1.txt")
    assert run(large, see).code == 0
    (made,) = checkouts(large)
    report = large.cli("ada", "gc", "--json").json
    (cleaned,) = (each for each in report["cleaned"] if each["kind"] == "checkout")
    assert cleaned["name"] == f"checkouts/trees-{this_boot()}/{made.name}"
    assert cleaned["size"] > 0
    assert checkouts(large) == []
    assert run(large, see, name="next").code == 0
    assert len(checkouts(large)) == 1


def test_where_layers_cannot_be_had_all_files_are_written(large: Team) -> None:
    """Without confinement a command works in a whole folder of its own."""
    large.policy("require: confined", "require: none")
    script = "! grep -q overlay.$PWD /proc/self/mounts && cat src/*/*.txt | wc -l && rm -r old"
    assert run(large, command(script, more=WRITES)).code == 0
    assert kept(large) == {"D old/a", "D old/b"}
    assert checkouts(large) == []


def test_A33_folders_that_a_command_closed(large: Team) -> None:
    """Where permission bits bind, what it removed and closed again is found all the same."""
    script = f"{LAYERED}; rm -r old; mkdir old; touch old/b; chmod 500 old src; chmod 500 ."
    large.propose("job", command(script, more=WRITES) + command("! test -e old/a", name="see"))
    large.approve("bob", "job")
    done = without_rights(large, "run", "job", "--json")
    assert done.code == 0, done.text
    assert kept(large) == {"D old/a", "M old/b"}
    folder = large.root / ".git/planlock/checkouts/scratch"
    assert list(folder.iterdir()) == []
