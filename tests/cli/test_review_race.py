"""Two reviewers at once, each with the real planlock."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

import pytest
from team import Team
from terminal import SOURCE, terminal

STEP = "- {{id: {0}, step_type: edit_file, description: D, input: {{path: {0}, new_content: x}}}}\n"
TWO = STEP.format("one") + STEP.format("two")
SIGN = "[b]ack "
MAIN = "import sys; from runner.cli.main import main; main(sys.argv[1:])"


def decided(team: Team, plan: str = "job") -> int:
    names = team.git("ls-tree", "-r", "--name-only", f"plan/{plan}", f"plans/{plan}/").split()
    return sum(name.endswith(".sig") for name in names)


def overtaking(team: Team, *words: str, at: Sequence[int]) -> dict[str, str]:
    """A `ssh-keygen` that lets cleo decide first when bob signs these of his commits."""
    real = shutil.which("ssh-keygen")
    folder = team.base / "bin"
    folder.mkdir()
    pairs = {**team.environment("cleo"), "PYTHONPATH": SOURCE}
    env = " ".join(f"{name}='{value}'" for name, value in pairs.items())
    program = folder / "ssh-keygen"
    program.write_text(f"""#!/bin/sh
case " $* " in *" -n git "*)
  echo >> {folder}/count
  case "$(wc -l < {folder}/count)" in
    {"|".join(map(str, at))}) env -i {env} {sys.executable} -c '{MAIN}' {" ".join(words)};;
  esac;;
esac
exec {real} "$@"
""")
    program.chmod(0o755)
    return {"PATH": f"{folder}:{team.environment('bob')['PATH']}"}


def review(team: Team, env: dict[str, str], *, code: int) -> str:
    """Bob approves all that is left; gives what he sees from the summary on."""
    with terminal(team, "bob", "review", "job", env=env) as screen:
        screen.press("A")
        screen.press("y", ask=SIGN)
        seen = screen.seen
        assert screen.end() == code, screen.text
    return " ".join(screen.text[seen:].split())


def test_who_is_overtaken_once_signs_all_the_same(team: Team) -> None:
    """Both approvals are there, where the other one changes nothing of what was read."""
    team.propose("job", TWO)
    env = overtaking(team, "approve", "job", "--step", "one", at=[1])
    assert "approved job: one, two" in review(team, env, code=0)
    assert decided(team) == 2
    steps = team.cli("ada", "status", "job", "--json").json["steps"]
    assert steps[0]["approvers"] == ["bob@example.com", "cleo@example.com"]


def test_who_is_overtaken_by_a_reject_looks_again(team: Team) -> None:
    """The approval would have said more than its giver knew."""
    team.propose("job", TWO)
    text = review(team, overtaking(team, "reject", "job", "--step", "one", at=[1]), code=4)
    assert "[review_outdated]" in text
    assert "not signed for job: approve one, two" in text
    assert decided(team) == 1


def test_who_is_overtaken_twice_keeps_what_they_decided(team: Team) -> None:
    """It stays on the screen, with the command that leads back to it."""
    team.propose("job", TWO)
    text = review(team, overtaking(team, "approve", "job", at=[1, 2]), code=4)
    assert "another process moved it first hint: planlock review job" in text
    assert "not signed for job: approve one, two" in text
    assert decided(team) == 2


def reject_and_approve(team: Team, env: dict[str, str]) -> tuple[int, str]:
    """Bob rejects the first step that is asked and approves the second."""
    with terminal(team, "bob", "review", "job", env=env) as screen:
        screen.press("r")
        screen.until("(may be empty): ")
        screen.type("not so\n")
        screen.press("a")
        screen.press("y", ask=SIGN)
        seen = screen.seen
        code = screen.end()
    return code, " ".join(screen.text[seen:].split())


@pytest.mark.parametrize("at", [1, 2])
def test_either_of_two_records_may_be_overtaken(team: Team, at: int) -> None:
    """The rejection that was just signed does not count as news."""
    team.propose("job", TWO)
    env = overtaking(team, "approve", "job", "--step", "two", at=[at])
    code, text = reject_and_approve(team, env)
    assert (code, "rejected job: one" in text, "approved job: two" in text) == (0, True, True)
    assert decided(team) == 3


def test_a_rejection_that_was_signed_is_not_told_as_lost(team: Team) -> None:
    """Of two records the first may be there and the second not."""
    team.propose("job", TWO)
    env = overtaking(team, "approve", "job", "--step", "two", at=[2, 3])
    code, text = reject_and_approve(team, env)
    assert (code, text.endswith("not signed for job: approve two")) == (4, True)


def test_a_note_is_told_once(team: Team) -> None:
    """An earlier approval that holds beside both records is named with the first of them."""
    team.propose("job", TWO + STEP.format("three") + STEP.format("four"))
    team.approve("bob", "job")
    assert team.cli("cleo", "reject", "job", "--step", "two").code == 0
    code, text = reject_and_approve(team, {})
    assert (code, text.count("your earlier approval")) == (0, 1)
