"""Attacks through what lies in a work tree: tools, ignored files, deep folders, plugins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from forging import answer, checked_out, codes, commit_on, run_codes
from plugin import installed
from team import EDIT, READ, Team, command

from runner.git import leftovers
from runner.steps import registry

HOSTILE_TOOL = "#!/bin/sh\necho hostile\n"


def approved(team: Team, steps: str) -> None:
    team.propose("job", steps)
    team.approve("bob", "job")


def failed(team: Team) -> list[str]:
    """Run the plan, whose step must fail, and give the codes of the reasons."""
    done = team.cli("ada", "run", "job", "--json")
    assert done.code == 5, done.text
    return codes(done)


def recorded(team: Team, name: str) -> str:
    return team.show_file("planlock/job/1", f"plans/job/runs/1/{name}.yaml")


@pytest.mark.usefixtures("confined")
class TestTools:
    """P2: the programs of approved commands come from the machine, never from the repository."""

    @pytest.fixture
    def team(self, team: Team) -> Team:
        team.policy("tools: []", "tools: [.venv]")
        return team

    @pytest.mark.parametrize("leads_to", [".git/planlock", "/root", "/etc", ".", "kit"])
    def test_P2_a_link_in_place_of_a_tool_is_refused(self, team: Team, leads_to: str) -> None:
        """A link where sandbox.tools has a folder shows no key, home or other folder."""
        (team.root / ".venv").symlink_to(leads_to)
        (team.root / "kit").mkdir()
        approved(team, command("head .venv/runner_key .venv/shadow"))
        done = team.cli("ada", "run", "job", "--json")
        assert (done.code, codes(done)) == (5, ["workspace_symlink"]), done.text
        assert "PRIVATE KEY" not in done.out

    @pytest.mark.parametrize("how", ["head", "index", "trusted", "plan"])
    def test_P2_a_tool_that_git_tracks_is_refused(self, team: Team, how: str) -> None:
        """A tool that the checked-out branch, the index, main or the run's tree has is no tool."""
        if how in {"trusted", "plan"}:
            team.commit({".venv/bin/tool": HOSTILE_TOOL}, "Tool")
        approved(team, command("tool"))
        team.write({".venv/bin/tool": HOSTILE_TOOL})
        if how == "head":
            team.git("switch", "-q", "-c", "hostile")
            team.commit({".venv/bin/tool": HOSTILE_TOOL}, "Tool")
        elif how == "index":
            team.git("add", ".venv")
        elif how == "trusted":
            team.git("rm", "-q", "-r", "--cached", ".venv")
        else:
            team.git("rm", "-q", "-r", "--cached", ".venv")
            team.git("commit", "-q", "-m", "No tool")
        (team.root / ".venv/bin/tool").chmod(0o755)
        done = team.cli("ada", "run", "job", "--json")
        assert (done.code, codes(done)) == (5, ["workspace_tracked_tool"]), done.text
        assert "hostile" not in done.out.replace("workspace", "")

    @pytest.mark.parametrize("home", ["/tmp/../bin", "/usr/../root/bin"])
    def test_P2_an_interpreter_behind_dots_is_refused(self, team: Team, home: str) -> None:
        """An environment cannot name the whole machine as its interpreter by way of `..`."""
        (team.root / ".venv").mkdir()
        (team.root / ".venv/pyvenv.cfg").write_text(f"home = {home}\n")
        approved(team, command("ls /tmp/../root"))
        assert failed(team) == ["sandbox_unavailable"]
        assert "code: sandbox_unavailable" in recorded(team, "001-check")

    @pytest.mark.parametrize("name", [".git/planlock", "/etc", "/.//..", ".."])
    def test_P2_a_tool_that_shows_too_much_is_refused(self, team: Team, name: str) -> None:
        """Neither git's own folders nor the system's closed ones are shown as a tool."""
        team.policy("tools: [.venv]", f'tools: ["{name}"]')
        approved(team, command("true"))
        assert failed(team)[0] in {
            "sandbox_unavailable",
            "workspace_symlink",
        }

    def test_an_untracked_environment_still_works(self, team: Team) -> None:
        """The machine's own virtual environment in the project is a tool as before."""
        argv = [sys.executable, "-m", "venv", "--without-pip", str(team.root / ".venv")]
        subprocess.run(argv, check=True)
        approved(team, command("python -c 'import sys; print(sys.prefix)'"))
        assert team.cli("ada", "run", "job").code == 0


@pytest.mark.usefixtures("confined")
class TestLeftovers:
    """A33: whatever a command leaves behind is found, and never stops the runner."""

    @pytest.mark.parametrize("rules", ["*", "sitecustomize.py\\n.gitignore"])
    def test_A33_a_new_gitignore_hides_nothing(self, team: Team, rules: str) -> None:
        """A command cannot hide a file from the judgement by ignoring it."""
        script = f"printf '{rules}' > .gitignore; echo 'print(1)' > sitecustomize.py"
        approved(team, command(script) + command("true", name="two"))
        assert failed(team) == ["unapproved_change"]

    def test_A33_a_gitignore_in_a_new_folder_hides_nothing(self, team: Team) -> None:
        """Rules that come with a new folder do not hide what is in it."""
        approved(team, command("mkdir d; echo '*' > d/.gitignore; touch d/conftest.py"))
        assert failed(team) == ["unapproved_change"]

    def test_A33_caches_of_test_tools_are_no_changes(self, team: Team) -> None:
        """The caches that test and lint tools make ignore themselves, and stay out of commits."""
        script = "for d in .pytest_cache .ruff_cache; do mkdir $d; echo '*' > $d/.gitignore; done"
        approved(team, command(script))
        done = team.cli("ada", "run", "job")
        assert done.code == 0, done.text
        assert "cache" not in team.git("ls-tree", "-r", "--name-only", "planlock/job/1")

    @pytest.mark.parametrize(
        "script",
        [
            "mkfifo .gitignore",
            "mkdir d; mkfifo d/.gitignore",
            "rm utils.py .gitignore; mkfifo .gitignore",
        ],
    )
    def test_A33_a_pipe_in_place_of_rules_does_not_hang(self, team: Team, script: str) -> None:
        """A named pipe called .gitignore is a special file, and nobody opens it."""
        if not script.startswith("mkdir"):
            script = f"rm -f .gitignore; {script}"
        approved(team, command(script, more='writes: ["**"]\n'))
        assert failed(team) == ["workspace_special_file"]

    def test_A33_a_folder_in_place_of_rules(self, team: Team) -> None:
        """A folder called .gitignore is judged like any other."""
        approved(team, command("rm .gitignore; mkdir .gitignore; touch .gitignore/x"))
        assert failed(team) == ["unapproved_change"]

    @pytest.mark.parametrize("place", ["deep", ".pytest_cache"])
    def test_A33_folders_without_end(self, team: Team, place: str) -> None:
        """Folders nested past every limit fail the step or are ignored, and later runs go on."""
        script = f"mkdir {place}; cd {place}; "
        script += "p=$(printf 'dddddddd/%.0s' $(seq 100)); "
        script += "for n in $(seq 15); do mkdir -p $p; cd -P $p || exit 1; done; touch x"
        approved(team, command(script))
        first = team.cli("ada", "run", "job", "--json")
        if place == "deep":
            assert (first.code, codes(first)) == (5, ["workspace_too_deep"]), first.text
        else:
            assert first.code == 0, first.text
        team.propose("next", READ)
        assert team.cli("ada", "run", "next").code == 0
        again = team.cli("ada", "run", "job", "--new", "--json")
        assert again.code == first.code, again.text
        # pytest's own removal recurses.
        leftovers.remove(team.root / ".git/planlock")


class TestBesideThePlan:
    """A34: only the plan and its approvals may differ from base."""

    @pytest.mark.parametrize(
        "name",
        [
            "compose.yaml",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV.yml",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV.yaml.bak",
            "deeper/01ARZ3NDEKTSV4RRFFQ69G5FAV.yaml",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV.yaml/x.yaml",
            "conftest.yaml.sig",
        ],
    )
    def test_A34_names_that_are_no_approvals(self, team: Team, name: str) -> None:
        """A file under approvals/ with another name than a record's makes the branch stale."""
        approved(team, EDIT)
        commit_on(team, "plan/job", {f"plans/job/approvals/{name}": b"x: 1\n"})
        assert run_codes(team, "job") == ["stale"]

    @pytest.mark.parametrize("mode", ["100755", "120000"])
    def test_A34_an_approval_is_a_plain_file(self, team: Team, mode: str) -> None:
        """Neither a program nor a link can stand in an approval's place."""
        approved(team, EDIT)
        oid = team.git("hash-object", "-w", "--stdin", stdin="/etc/passwd")
        path = "plans/job/approvals/01ARZ3NDEKTSV4RRFFQ69G5FAV.yaml"
        with checked_out(team, "plan/job") as folder:
            added = f"{mode},{oid},{path}"
            team.git("update-index", "--add", "--cacheinfo", added, cwd=folder)
            team.git("commit", "-q", "-m", "Mode", cwd=folder)
        assert run_codes(team, "job") == ["stale"]


class TestPlugins:
    """A33: the path rules bind the steps of plugins too."""

    @pytest.fixture
    def team(self, team: Team, tmp_path: Path) -> Iterator[Team]:
        registry._load.cache_clear()  # noqa: SLF001  # what a new process starts with
        team.policy("plugins: []", "plugins: [greet-plugin]")
        team.policy("rules: []", 'rules: [{name: infra, match: {path: "infra/**"}, deny: by hand}]')
        folder = tmp_path / "plugin"
        folder.mkdir()
        with installed(folder):
            yield team

    def change(self, team: Team, path: str, *, more: str = "") -> tuple[int, str]:
        step = f"- {{id: hi, step_type: greet, description: D, input: {{name: x, path: {path}{more}}}}}\n"
        approved(team, step)
        done = team.cli("ada", "run", "job", "--json")
        reasons = answer(done).get("reasons", [])
        return done.code, "".join(f"{each['code']}: {each['message']}" for each in reasons)

    @pytest.mark.parametrize(
        "path,more",
        [
            ("infra/x.tf", ""),
            ("infra/x.tf", ", stubborn: true"),
            (".github/workflows/ci.yml", ""),
            ("plans/policy.yaml", ""),
            ("plans/policy.yaml", ", remove: true"),
            ("PLANS/x", ", stubborn: true"),
        ],
    )
    def test_A33_a_plugin_step_obeys_the_path_rules(self, team: Team, path: str, more: str) -> None:
        """What a plugin's step writes or deletes is judged, also where it goes on regardless."""
        code, why = self.change(team, path, more=more)
        assert code == 5, why
        assert why.startswith("unapproved_change: "), why
        tree = team.git("ls-tree", "-r", "--name-only", "planlock/job/1").split()
        assert "fine" not in tree
        assert (
            team.git(
                "diff", "main", "planlock/job/1", "--", "infra", ".github", "plans/policy.yaml"
            )
            == ""
        )

    def test_a_plugin_step_may_change_other_files(self, team: Team) -> None:
        """A path that no rule restricts is written by a plugin's step as before."""
        assert self.change(team, "made.txt") == (0, "")
        assert team.show_file("planlock/job/1", "made.txt") == "hello x"

    @pytest.mark.parametrize(
        "source,renamed",
        [
            ("utils.py", "infra/x.tf"),
            ("utils.py", ".github/workflows/ci.yml"),
            ("utils.py", "plans/x"),
            ("plans/policy.yaml", "fine"),
        ],
    )
    def test_A33_a_plugin_step_renames_within_the_rules(
        self, team: Team, source: str, renamed: str
    ) -> None:
        """A rename is judged at both of its ends, and nothing of a refused one is kept."""
        code, why = self.change(team, source, more=f", rename: {renamed}, stubborn: true")
        assert code == 5, why
        assert why.startswith("unapproved_change: "), why
        for path in (source, renamed):
            assert team.git("diff", "main", "planlock/job/1", "--", path) == ""

    def test_a_plugin_step_renames_other_files(self, team: Team) -> None:
        """A rename that no rule restricts is committed and recorded as two changes."""
        before = team.show_file("main", "utils.py")
        assert self.change(team, "utils.py", more=", rename: lib/tools.py") == (0, "")
        assert team.show_file("planlock/job/1", "lib/tools.py") == before
        tree = team.git("ls-tree", "-r", "--name-only", "planlock/job/1").split()
        assert "utils.py" not in tree
        record = recorded(team, "001-hi")
        assert record.index("path: utils.py") < record.index("path: lib/tools.py")
