from __future__ import annotations

from pathlib import Path

from forging import answer, checked_out, codes, plan_of
from team import EDIT, FACTORIAL, READ, UTILS, Team, command

from runner.core.canonical import sha256_text

STEP = "- {{id: {0}, step_type: edit_file, description: D, input: {{path: {0}, new_content: x}}}}\n"
PIN = sha256_text(UTILS.encode())
COMMENTED = """\
# why we do this
version: 1
id: job
goal: Do it   # soon
budget: {usd: "0.10"}

# the steps
steps:
  # first in block style
  - id: block
    step_type: edit_file
    description: Change
    input:
      path: utils.py    # the module
      edits:
        - {search: a + b, replace: b + a}
  # then in flow style
  - {id: flow, step_type: edit_file, description: New, input: {path: new.txt, new_content: x}}
"""


def proposed(team: Team, *options: str, who: str = "ada") -> dict[str, object]:
    done = team.cli(who, "propose", "job", *options, "--json")
    assert done.code == 0, done.text
    return answer(done)


def problems(team: Team) -> list[dict[str, object]]:
    done = team.cli("ada", "propose", "job", "--json")
    assert done.code == 1, done.text
    found: list[dict[str, object]] = answer(done)["error"]["problems"]
    return found


def plan_path(team: Team) -> Path:
    return team.root / "plans/job/plan.yaml"


class TestFilling:
    def test_base_author_and_pins_are_filled_in_and_the_rest_stays(self, team: Team) -> None:
        """Comments, order and layout survive in block and in flow style."""
        team.write({"plans/job/plan.yaml": COMMENTED})
        head = team.git("rev-parse", "main")
        done = proposed(team)
        expected = (
            COMMENTED.replace(
                "# the steps\nsteps:", f"# the steps\nbase: {head}\nauthor: ada@example.com\nsteps:"
            )
            .replace("# the module\n", f"# the module\n      replaces: {PIN}\n")
            .replace("path: new.txt", "path: new.txt, replaces: absent")
        )
        text = plan_path(team).read_text()
        assert text == expected
        assert team.show_file("plan/job", "plans/job/plan.yaml") + "\n" == text
        assert (done["pinned"], done["base"], done["author"]) == (2, head, "ada@example.com")

    def test_a_path_in_block_style_is_pinned_too(self, team: Team) -> None:
        """A folded path ends on a line of its own, and the pin goes behind it."""
        block = "    path: >-\n      utils.py\n"
        team.propose("job", EDIT.replace("    path: utils.py\n", block))
        given = plan_of(team, "job").plan.steps[0].input
        assert (given["path"], given["replaces"]) == ("utils.py", PIN)

    def test_two_edits_of_one_file_are_pinned_one_after_the_other(self, team: Team) -> None:
        """The second edit's pin is the content that the first one leaves."""
        second = EDIT.replace("id: edit", "id: again").replace("factorial(n)", "fact(n)")
        team.propose("job", EDIT + second)
        pins = [step.input["replaces"] for step in plan_of(team, "job").plan.steps]
        assert pins == [PIN, sha256_text(FACTORIAL.encode())]

    def test_an_edit_behind_a_command_that_writes_the_file_gets_no_pin(self, team: Team) -> None:
        """What a command may change first cannot be known beforehand."""
        command = "- {id: fmt, step_type: run_command, description: F, input: {command: f, writes: ['*.py']}}\n"
        team.propose("job", command + EDIT)
        assert "replaces" not in plan_of(team, "job").plan.steps[1].input

    def test_pins_and_base_of_the_author_are_kept(self, team: Team) -> None:
        """What the file already says is not overwritten without --refresh."""
        old = team.git("rev-parse", "main")
        team.commit({"utils.py": UTILS + "# more\n"}, "Go on")
        edit = EDIT.replace("    new_content", f"    replaces: {PIN}\n    new_content")
        team.propose("job", edit, extra=f"base: {old}\nauthor: cleo@example.com\n")
        plan = plan_of(team, "job").plan
        assert (plan.base, plan.author) == (old, "cleo@example.com")

    def test_the_author_is_the_owner_of_the_key(self, team: Team) -> None:
        """Whatever name git is given, the listed key tells who proposes; else git's address does."""
        team.plan("job", READ)
        env = {"GIT_AUTHOR_EMAIL": "somebody@example.com"}
        assert (
            team.cli("bob", "propose", "job", "--json", env=env).json["author"] == "bob@example.com"
        )
        team.plan("other", READ)
        assert team.cli("eve", "propose", "other", "--json").json["author"] == "eve@example.com"

    def test_refresh_takes_a_new_base_and_new_pins(self, team: Team) -> None:
        """The branch is merged with the new base, so that only the plan's folder differs."""
        team.propose("job", EDIT)
        head = team.commit({"utils.py": UTILS + "\n", "more.txt": "m"}, "Go on")
        done = proposed(team, "--refresh")
        plan = plan_of(team, "job").plan
        assert plan.base == done["base"] == head
        assert plan.steps[0].input["replaces"] == sha256_text(f"{UTILS}\n".encode())
        changed = team.git("diff", "--name-only", head, "plan/job").split()
        assert changed == ["plans/job/plan.yaml"]
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job").code == 0


class TestCommitting:
    def test_head_index_and_work_tree_stay_as_they_are(self, team: Team) -> None:
        """Only the branch and the plan file change; staged and unstaged work is left alone."""
        team.write({"utils.py": "dirty\n", "staged.txt": "s\n"})
        team.git("add", "staged.txt")
        before = [
            team.git(*args) for args in (["rev-parse", "HEAD"], ["diff", "--cached"], ["diff"])
        ]
        team.propose("job", EDIT)
        after = [
            team.git(*args) for args in (["rev-parse", "HEAD"], ["diff", "--cached"], ["diff"])
        ]
        assert after == before
        assert team.git("symbolic-ref", "HEAD") == "refs/heads/main"

    def test_the_commit_is_signed_and_names_the_digest(self, team: Team) -> None:
        """Trailers tell plan and digest; the tree differs from base by the plan alone."""
        tip = team.propose("job", EDIT)
        body = team.git("cat-file", "commit", tip)
        assert "BEGIN SSH SIGNATURE" in body
        assert f"Plan-Digest: {plan_of(team, 'job').digest}" in body
        assert team.git("diff", "--name-only", "main", tip) == "plans/job/plan.yaml"

    def test_an_unchanged_plan_is_not_committed_again(self, team: Team) -> None:
        """Proposing twice leaves the branch where it is, and says so."""
        tip = team.propose("job", EDIT)
        done = proposed(team)
        assert (done["commit"], done["new"]) == (tip, False)
        assert "already proposed job" in team.cli("ada", "propose", "job").out

    def test_a_changed_plan_is_a_commit_on_top(self, team: Team) -> None:
        """History of the plan's branch only grows."""
        tip = team.propose("job", EDIT)
        path = plan_path(team)
        path.write_text(path.read_text().replace("Do job", "Do it"))
        done = proposed(team)
        assert done["new"] is True
        assert team.git("rev-parse", "plan/job~") == tip

    def test_a_branch_checked_out_elsewhere_goes_along(self, team: Team) -> None:
        """A clean linked work tree of the plan's branch is advanced with its index."""
        team.propose("job", EDIT)
        path = plan_path(team)
        path.write_text(path.read_text().replace("Do job", "Do it"))
        with checked_out(team, "plan/job") as folder:
            proposed(team)
            assert "Do it" in (folder / "plans/job/plan.yaml").read_text()
            assert team.git("status", "--porcelain", cwd=folder) == ""

    def test_a_branch_with_changes_elsewhere_is_refused(self, team: Team) -> None:
        """Somebody's uncommitted edit of the plan is neither lost nor overtaken."""
        tip = team.propose("job", EDIT)
        path = plan_path(team)
        path.write_text(path.read_text().replace("Do job", "Do it"))
        with checked_out(team, "plan/job") as folder:
            (folder / "plans/job/plan.yaml").write_text("mine\n")
            done = team.cli("ada", "propose", "job", "--json")
            assert (done.code, codes(done)) == (4, ["branch_busy"])
            assert (folder / "plans/job/plan.yaml").read_text() == "mine\n"
        assert team.git("rev-parse", "plan/job") == tip

    def test_a_file_may_lie_anywhere(self, team: Team) -> None:
        """A path outside plans/ is read and filled in, and lands in the plan's folder."""
        source = team.plan("job", EDIT)
        target = team.base / "draft.yaml"
        source.rename(target)
        done = team.cli("ada", "propose", str(target), "--json")
        assert done.code == 0, done.text
        assert "base: " in target.read_text()
        assert team.show_file("plan/job", "plans/job/plan.yaml") + "\n" == target.read_text()

    def test_what_to_do_next_is_told(self, team: Team) -> None:
        """The digest, base, author and the next commands are printed."""
        team.plan("job", EDIT)
        done = team.cli("ada", "propose", "job")
        assert "proposed job on plan/job at" in done.out
        assert "author ada@example.com, 1 new pin(s)" in done.out
        assert "next: planlock show job" in done.err


class TestRefusals:
    def test_an_edit_that_does_not_fit_is_told_with_its_place(self, team: Team) -> None:
        """Text that does not occur once is a problem of its step, with line and column."""
        bad = (
            EDIT.split("    new_content")[0] + "    edits:\n      - {search: nothing, replace: x}\n"
        )
        team.plan("job", READ + bad)
        (found,) = problems(team)
        assert (found["code"], found["path"], found["line"]) == (
            "edit_misfit",
            "steps[1].input",
            10,
        )
        assert found["column"]
        assert "occurs 0 times" in str(found["message"])
        assert team.refs("refs/heads/plan/") == []

    def test_every_misfit_is_told_at_once(self, team: Team) -> None:
        """Each edit that does not fit has its own problem."""
        gone = "- {{id: {0}, step_type: edit_file, description: D, input: {{path: {0}, delete: true}}}}\n"
        team.plan("job", gone.format("one") + gone.format("two"))
        assert [each["path"] for each in problems(team)] == ["steps[0].input", "steps[1].input"]

    def test_an_unknown_base_is_told_with_its_place(self, team: Team) -> None:
        """A base that is no commit here cannot be pinned against."""
        team.plan("job", EDIT, extra=f"base: {'d' * 40}\n")
        (found,) = problems(team)
        assert (found["code"], found["path"], found["line"]) == ("base_unknown", "base", 4)

    def test_a_plan_that_is_not_valid_is_not_committed(self, team: Team) -> None:
        """The schema's and the reader's problems come first."""
        team.plan("job", "- {id: x, step_type: read_file, description: D, input: {file: a}}\n")
        assert {each["code"] for each in problems(team)} >= {"unknown_field", "missing_field"}
        assert team.refs("refs/heads/plan/") == []

    def test_a_plan_that_is_not_there_is_not_found(self, team: Team) -> None:
        """The message says where was looked."""
        done = team.cli("ada", "propose", "nothing")
        assert done.code == 3
        assert "no plans/nothing/plan.yaml" in done.err

    def test_inputs_that_no_file_matches_are_told(self, team: Team) -> None:
        """A command whose `reads` match nothing would fail, unless an earlier step makes the file."""
        made = command("make", name="make", more="writes: ['out/**']\n")
        use = command("use", more="reads: ['*.py', out/a, 'docs/*']\n")
        team.plan("job", made + use)
        (found,) = problems(team)
        assert (found["code"], found["path"]) == ("reads_nothing", "steps[1].input.reads[2]")
        edit = EDIT.replace("path: utils.py", "path: docs/new")
        assert team.propose("job", edit + made + use)
