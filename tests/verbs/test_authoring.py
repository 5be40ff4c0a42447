"""`new`, `init` and `people add`."""

from __future__ import annotations

from pathlib import Path

import pytest
from forging import plan_of
from team import EDIT, Team


def plan_path(team: Team) -> Path:
    return team.root / "plans/job/plan.yaml"


class TestNew:
    def test_a_draft_is_a_valid_plan(self, team: Team) -> None:
        """What `new` writes can be validated and proposed as it is."""
        team.commit({"README.md": "Hello\n"}, "Readme")
        done = team.cli("ada", "new", "Grüße: add #1 'factorial'", "--json")
        assert done.json["plan"] == "grue-add-1-factorial"
        assert team.cli("ada", "validate", done.json["file"]).code == 0
        assert team.cli("ada", "propose", done.json["plan"]).code == 0
        assert plan_of(team, done.json["plan"]).plan.goal == "Grüße: add #1 'factorial'"

    @pytest.mark.parametrize(
        "args",
        [["Job", "--id", "Job!"], ["!!!"], ["Job", "--id", "examples"], ["Job", "--id", "-x"]],
    )
    def test_ids_that_are_none_are_refused(self, team: Team, args: list[str]) -> None:
        """An id has lower-case letters, digits and dashes, and is not reserved."""
        assert team.cli("ada", "new", *args).code == 2

    def test_a_draft_overwrites_nothing(self, team: Team) -> None:
        """An existing plan is kept."""
        assert team.cli("ada", "new", "Job").code == 0
        plan_path(team).write_text("mine\n")
        assert team.cli("ada", "new", "Job").code == 2
        assert plan_path(team).read_text() == "mine\n"


class TestInit:
    def test_init_keeps_what_is_there(self, tmp_path: Path) -> None:
        """A second init writes nothing and names what it kept."""
        team = Team.start(tmp_path)
        first = team.cli("ada", "init", "--json").json
        assert first["written"] == ["plans/policy.yaml", "plans/allowed_signers"]
        assert first["trusted_ref"] == "refs/heads/main"
        second = team.cli("ada", "init", "--json").json
        assert (second["written"], second["kept"]) == ([], first["written"])
        assert second["commit_command"] == first["commit_command"]
        team.git("add", "plans")
        team.git("commit", "-qm", "Govern")
        assert team.cli("ada", "init", "--json").json["commit_command"] == ""

    def test_solo_is_refused_where_a_policy_says_otherwise(self, team: Team) -> None:
        """An existing policy is not changed, so `--solo` may not pass in silence."""
        done = team.cli("ada", "init", "--solo")
        assert (done.code, "edit self_approval in plans/policy.yaml" in done.err) == (2, True)
        team.policy("self_approval: false", "self_approval: true")
        assert team.cli("ada", "init", "--solo").code == 0

    def test_a_clone_is_told_nothing_that_is_done(self, team: Team) -> None:
        """Where the home has both files, a clone has nothing to commit but its runner's key."""
        clone = team.base / "clone"
        team.git("clone", "-q", str(team.root), str(clone))
        done = team.cli("ada", "init", "--json", cwd=clone).json
        assert done["written"] == ["plans/allowed_signers"]
        assert "git add plans/allowed_signers &&" in done["commit_command"]
        assert "HEAD:main" in done["commit_command"]

    def test_solo_lets_one_person_work(self, tmp_path: Path) -> None:
        """With --solo the author's own approval counts."""
        team = Team.governed(tmp_path, solo=True)
        team.propose("job", EDIT)
        team.approve("ada", "job")
        assert team.cli("ada", "run", "job").code == 0

    def test_nothing_counts_before_it_is_committed(self, tmp_path: Path) -> None:
        """Authority is what the trusted branch has, not what lies in the work tree."""
        team = Team.start(tmp_path)
        team.cli("ada", "init")
        team.plan("job", EDIT)
        done = team.cli("ada", "propose", "job")
        assert done.code == 3
        assert "reading plans/policy.yaml at refs/heads/main@" in done.err

    def test_a_repository_without_init_is_not_governed(self, tmp_path: Path) -> None:
        """The hint is the command that changes this."""
        team = Team.start(tmp_path)
        team.plan("job", EDIT)
        done = team.cli("ada", "propose", "job")
        assert done.code == 3
        assert "planlock init" in done.err

    def test_init_needs_a_key(self, tmp_path: Path) -> None:
        """Without an SSH key nobody could approve anything."""
        team = Team.start(tmp_path)
        done = team.cli("ada", "init", env={"PLANLOCK_KEY": str(tmp_path / "none")})
        assert done.code == 3
        assert "export PLANLOCK_KEY=FILE, or unset it, then planlock init" in done.err
        done = team.cli("ada", "init", env={"PLANLOCK_KEY": ""})
        assert done.code == 3
        assert "planlock key new, then planlock init" in done.err

    def test_init_needs_a_commit_and_a_branch(self, tmp_path: Path) -> None:
        """An empty repository and a detached HEAD have no branch to trust."""
        team = Team.start(tmp_path)
        team.git("checkout", "-q", "--detach")
        assert "git switch main" in team.cli("ada", "init").err
        empty = tmp_path / "empty"
        team.git("init", "-q", "-b", "main", str(empty))
        assert "no commit yet" in team.cli("ada", "init", cwd=empty).err


class TestPeople:
    def test_a_person_is_added_to_both_files(self, team: Team) -> None:
        """Comments of the policy stay, and adding again changes nothing."""
        before = (team.root / "plans/policy.yaml").read_text()
        args = ["people", "add", "dan@example.com", "--key", f"{team.key('dan')}.pub", "--json"]
        done = team.cli("ada", *args)
        assert done.json["changed"] == ["plans/policy.yaml", "plans/allowed_signers"]
        after = (team.root / "plans/policy.yaml").read_text()
        assert after.replace("\n  - {principal: dan@example.com}", "") == before
        assert team.cli("ada", *args).json["changed"] == []
        assert team.cli("ada", "validate", "plans").code == 0

    def test_a_list_in_flow_style_stays_one(self, team: Team) -> None:
        """People written between brackets are added between brackets."""
        path = team.root / "plans/policy.yaml"
        head, _, rest = path.read_text().partition("people:\n")
        rest = rest[rest.index("rules:") :]
        path.write_text(f"{head}people: [{{principal: ada@example.com}}]\n{rest}")
        args = ["people", "add", "dan@example.com", "--key", f"{team.key('dan')}.pub"]
        assert team.cli("ada", *args).code == 0
        expected = "people: [{principal: ada@example.com}, {principal: dan@example.com}]\n"
        assert expected in path.read_text()

    def test_without_a_policy_there_is_nobody_to_add_to(self, tmp_path: Path) -> None:
        """The hint is the command that makes the files."""
        team = Team.start(tmp_path)
        done = team.cli("ada", "people", "add", "b@example.com", "--key", f"{team.key('b')}.pub")
        assert (done.code, "planlock init" in done.err) == (3, True)

    def test_a_key_belongs_to_one_person(self, team: Team) -> None:
        """Bob's key cannot be dan's as well, and neither file changes."""
        before = team.git("status", "--porcelain")
        done = team.cli(
            "ada", "people", "add", "dan@example.com", "--key", f"{team.key('bob')}.pub"
        )
        assert done.code == 1
        assert team.git("status", "--porcelain") == before

    @pytest.mark.parametrize("name", ["two words", "a,b", "*", "", "umläut@x"])
    def test_names_that_signers_cannot_hold_are_refused(self, team: Team, name: str) -> None:
        """A name that could smuggle in options or patterns is wrong usage."""
        done = team.cli("ada", "people", "add", name, "--key", f"{team.key('dan')}.pub")
        assert done.code == 2

    def test_a_file_that_is_no_key_is_wrong_usage(self, team: Team) -> None:
        """The hint says what kind of file is meant, also where there is none."""
        args = ["people", "add", "dan@example.com", "--key"]
        done = team.cli("ada", *args, "utils.py")
        assert (done.code, "public SSH key" in done.err) == (2, True)
        done = team.cli("ada", *args, "dan.pub")
        assert (done.code, "dan@example.com runs `planlock key new`" in done.err) == (3, True)
        assert "ssh-keygen" not in done.err

    def test_roles_of_a_listed_person_are_changed_by_hand(self, team: Team) -> None:
        """Giving somebody more say is an edit of the policy, which is reviewed."""
        done = team.cli(
            "ada",
            "people",
            "add",
            "bob@example.com",
            "--key",
            f"{team.key('bob')}.pub",
            "--role",
            "boss",
        )
        assert done.code == 2
        assert "in plans/policy.yaml already" in done.err
