from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from team import CHECK, EDIT, READ, UTILS, Team, command

from runner.core.canonical import sha256_text

STEP = "- {{id: {0}, step_type: edit_file, description: D, input: {{path: {0}, {1}}}}}\n"


def steps(team: Team, name: str = "job") -> list[dict[str, Any]]:
    done = team.cli("bob", "show", name, "--json")
    assert done.code == 0, done.text
    found: list[dict[str, Any]] = done.json["steps"]
    return found


class TestRendering:
    def test_a_plan_is_shown_with_diffs_and_what_each_step_needs(self, team: Team) -> None:
        """Header, digest, diff against base and the approvals asked for, as text."""
        team.propose("job", READ + EDIT + command(CHECK), extra='budget: {usd: "0.50"}\n')
        text = team.cli("bob", "show", "job").out
        for part in (
            "job: Do job",
            "branch plan/job at",
            "author   ada@example.com",
            "budget   0.50 USD",
            "refs/heads/main@",
            "2/3 edit  edit_file  change utils.py",
            "+def factorial(n):",
            "needs no approval",
            "needs 1 approval by a person (default edit_file)",
            "may write: nothing",
            "may contact: nobody",
        ):
            assert part in text
        digest = team.cli("ada", "status", "job", "--json").json["digest"]
        assert text.endswith(f"\n  planlock approve job --digest {digest}\n")

    def test_what_a_command_may_read_is_told(self, team: Team) -> None:
        """Workspace, system folders and the policy's tools; `reads` only says what must be there."""
        team.policy("tools: []", "tools: [.venv]")
        team.propose("job", command("cat b", more="reads: [utils.py]\n"))
        details = dict(steps(team)[0]["details"])
        folders = "the workspace, system folders (/usr, /etc, /opt), sandbox.tools: .venv"
        assert details["may read"] == folders
        assert details["must exist"] == "utils.py"

    @pytest.mark.parametrize("format_", ["text", "markdown", "html", "actions"])
    def test_what_a_command_reaches_and_gets_is_told_once(self, team: Team, format_: str) -> None:
        """As a detail, and not as a risk too."""
        team.policy("network: []", "network: [example.org]")
        team.policy("secrets: []", "secrets: [TOKEN]")
        team.propose("job", command("true", more="network: [example.org]\nsecrets: [TOKEN]\n"))
        text = team.cli("bob", "show", "job", "--format", format_).out
        assert (text.count("may contact"), text.count("gets secrets")) == (1, 1)
        assert (text.count("example.org"), text.count("TOKEN")) == (1, 1)

    def test_a_draft_that_nobody_proposed_has_a_hint(self, team: Team) -> None:
        """Every command about a plan that is only a file here says how to propose it."""
        team.plan("job", READ)
        for verb in ("show", "status", "run", "approve"):
            done = team.cli("ada", verb, "job")
            assert (done.code, "hint: planlock propose job" in done.err) == (3, True), done.text

    def test_later_steps_are_shown_on_top_of_earlier_ones(self, team: Team) -> None:
        """The diff of a second edit is against what the first one leaves."""
        again = EDIT.replace("id: edit", "id: again").replace("factorial(n)", "fact(n)")
        team.propose("job", EDIT + again)
        diff = steps(team)[1]["diff"]
        assert "-def factorial(n):" in diff
        assert "+def fact(n):" in diff

    def test_creations_deletions_and_binary_content(self, team: Team) -> None:
        """A new file is against /dev/null, a deleted one towards it, a binary one is a note."""
        (team.root / "bin").write_bytes(b"\xff\xfe")
        team.git("add", "bin")
        team.git("commit", "-qm", "Binary")
        team.propose(
            "job",
            STEP.format("new", "new_content: x")
            + STEP.format("utils.py", "delete: true").replace("id: utils.py", "id: gone")
            + STEP.format("bin", "new_content: x"),
        )
        new, gone, binary = steps(team)
        assert new["diff"][:2] == ["--- /dev/null", "+++ b/new"]
        assert new["diff"][-1] == "\\ No newline at end of file"
        assert gone["diff"][1] == "+++ /dev/null"
        assert binary["diff"] == ["binary file bin changes: 2 -> 1 bytes"]

    def test_a_guess_is_marked_as_one(self, team: Team) -> None:
        """Where an earlier command may change the file, the diff is called a guess."""
        team.propose("job", command("fmt", more="writes: ['*.py']\n") + EDIT)
        assert (
            "an earlier command or draft may change this file first; the diff is a guess"
            in (steps(team)[1]["warnings"])
        )

    def test_a_file_is_shown_as_it_is(self, team: Team) -> None:
        """A path means the work tree: without base there is a warning in place of a diff."""
        path = team.plan("job", EDIT)
        shown = team.cli("bob", "show", str(path), "--json").json
        assert shown["commit"] == ""
        assert "no base yet" in shown["steps"][0]["warnings"][0]

    def test_an_edit_that_went_stale_is_told(self, team: Team) -> None:
        """A pin that does not fit the base shows as trouble, not as a diff."""
        pin = sha256_text(b"other")
        edit = EDIT.replace("    new_content", f"    replaces: {pin}\n    new_content")
        head = team.git("rev-parse", "main")
        path = team.plan("job", edit, extra=f"base: {head}\nauthor: ada@example.com\n")
        (step,) = steps(team, str(path))
        assert step["warnings"][0].startswith("stale: utils.py")
        assert step["diff"] == []

    def test_denied_and_shared_steps_say_so(self, team: Team) -> None:
        """A denial and a rule of several people are shown before anybody runs anything."""
        rules = (
            '[{name: ci, match: {path: "ci/**"}, deny: by hand}, '
            '{name: infra, match: {path: "infra/**"}, approvals: 2, roles: [maintainer]}]'
        )
        team.policy("rules: []", f"rules: {rules}")
        denied = STEP.format("a", "new_content: x").replace("path: a", "path: ci/a")
        shared = STEP.format("b", "new_content: x").replace("path: b", "path: infra/b")
        team.propose("job", denied + shared)
        first, second = steps(team)
        assert first["needs"] == "denied: rule 'ci': by hand"
        assert second["needs"] == "2 approvals by a maintainer (infra)"

    @pytest.mark.parametrize("args", [["show", "job"], ["status", "job"]])
    def test_a_quorum_is_told_by_its_places(self, team: Team, args: list[str]) -> None:
        """And not by the sets of its roles that the gate counts."""
        quorum = "{maintainer: 1, security: 1}"
        rule = f'{{name: infra, match: {{path: "**"}}, quorum: {quorum}}}'
        team.policy("rules: []", f"rules: [{rule}]")
        team.propose("job", STEP.format("b", "new_content: x").replace("path: b", "path: infra/b"))
        text = " ".join(team.cli("ada", *args).out.split())
        assert "needs 1 approval by a maintainer and 1 by a security (infra)" in text
        assert "2 by" not in text

    def test_without_a_policy_a_plan_can_still_be_read(self, tmp_path: Path) -> None:
        """In a repository that nobody governs, `show` says that no policy was found."""
        team = Team.start(tmp_path)
        path = team.plan("job", READ)
        assert steps(team, str(path))[0]["needs"] == "unknown: no policy found"

    def test_assumptions_questions_and_the_planner_are_shown(self, team: Team) -> None:
        """What the plan rests on and leaves open is part of the review."""
        digest = "sha256:" + "0" * 64
        planner = f"{{model: m-1, request: '{digest}', tokens: {{input: 1, output: 1}}}}"
        extra = f"planner: {planner}\nassumptions: [It is so]\nquestions: ['Is it?']\n"
        team.propose("job", READ, extra=extra)
        text = team.cli("bob", "show", "job").out
        for part in ("model    m-1", "assumes  It is so", "asks     Is it?"):
            assert part in text

    def test_a_plan_on_the_trusted_branch_is_found_too(self, team: Team) -> None:
        """Without a plan branch the id means the trusted ref."""
        path = team.plan("job", READ)
        team.commit({"plans/job/plan.yaml": path.read_text()}, "Keep the plan")
        assert team.cli("bob", "show", "job", "--json").json["source"] == "refs/heads/main"


class TestB04:
    @pytest.mark.parametrize(
        "field,value,expected",
        [
            (
                "command",
                "curl g\u043e\u043egle.com",
                "command contains U+043E CYRILLIC SMALL LETTER O",
            ),
            ("network", "[]", ""),
            ("env", "{A: '\uff41'}", "env contains U+FF41 FULLWIDTH LATIN SMALL LETTER A"),
            ("writes", "['b\u0430']", "writes contains U+0430 CYRILLIC SMALL LETTER A"),
        ],
    )
    def test_B04_characters_beyond_ascii_are_named(
        self, team: Team, field: str, value: str, expected: str
    ) -> None:
        """Every field that is executed or addressed is looked at."""
        given = {"command": "x", field: value}
        lines = "".join(f"    {key}: {item}\n" for key, item in given.items())
        step = f"- id: s\n  step_type: run_command\n  description: D\n  input:\n{lines}"
        path = team.plan("job", step)
        (shown,) = steps(team, str(path))
        assert shown["warnings"] == ([expected] if expected else [])

    def test_E01_control_characters_of_a_file_are_shown_escaped(self, team: Team) -> None:
        """What a diff removes is text of a stranger: escapes are visible, not obeyed."""
        team.commit({"utils.py": UTILS + "# \x1b[2J\u202e\n"}, "Escapes")
        team.propose("job", EDIT)
        text = team.cli("bob", "show", "job").out
        assert "\\x1b[2J\\u202e" in text
        assert "\u202e" not in text
