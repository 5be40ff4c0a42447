"""Deciding a second time, deciding in vain, and who was ever named by the plan."""

from __future__ import annotations

import subprocess

import pytest
from forging import codes
from team import EDIT, READ, Team

TWO = EDIT + EDIT.replace("id: edit", "id: again").replace("utils.py", "more.py")
EDITED = ("path: more.py", "path: other.py")
PROMPTED = f"""\
planner:
  model: scripted
  request: sha256:{"0" * 64}
  tokens: {{input: 1, output: 1}}
  prompter: bob@example.com
"""


def status(team: Team, plan: str) -> dict[str, str]:
    found = team.cli("ada", "status", plan, "--json").json
    return {each["id"]: each["status"] for each in found["steps"]}


class TestSticky:
    def test_approving_an_edited_step_keeps_the_approval_of_the_others(self, team: Team) -> None:
        """Who approves only what was edited still stands behind what was not."""
        team.propose("job", TWO)
        first = team.approve("bob", "job").json
        team.propose("job", TWO.replace(*EDITED))
        assert status(team, "job") == {"edit": "ready", "again": "waiting"}
        second = team.approve("bob", "job", "--step", "again").json
        assert status(team, "job") == {"edit": "ready", "again": "ready"}
        assert second["supersedes"] == 0
        assert second["notes"] == []
        third = team.approve("bob", "job", "--step", "again").json
        assert third["supersedes"] == 1
        assert first["id"] != third["id"]

    def test_an_approval_that_goes_on_beside_a_narrower_one_is_told(self, team: Team) -> None:
        """Approving part of it again with bounds does not bound the first approval, and says so."""
        team.propose("job", TWO)
        first = team.approve("bob", "job").json
        notes = team.approve("bob", "job", "--step", "edit", "--max-runs", "1").json["notes"]
        assert notes == [f"your earlier approval {first['id']} of edit, again still holds"]

    def test_an_approval_of_all_replaces_the_earlier_one(self, team: Team) -> None:
        """Where the new approval covers whatever the old one still holds for, that one is over."""
        team.propose("job", TWO)
        team.approve("bob", "job", "--step", "edit")
        again = team.approve("bob", "job").json
        assert (again["supersedes"], again["notes"]) == (1, [])

    def test_withdrawing_takes_back_every_one_of_them(self, team: Team) -> None:
        """Approvals that stand beside each other all end with a withdrawal."""
        team.propose("job", TWO)
        team.approve("bob", "job")
        team.approve("bob", "job", "--step", "again")
        assert team.cli("bob", "withdraw", "job").code == 0
        assert status(team, "job") == {"edit": "waiting", "again": "waiting"}
        assert team.cli("bob", "withdraw", "job").code == 4


class TestInVain:
    RULE = '{name: deep, match: {path: "utils.py"}, approvals: 1, ROLE}'

    @pytest.mark.parametrize(
        "asked,why",
        [
            ("roles: [security]", "is by nobody of role security"),
            ("assurance: hardware", "has assurance key, and hardware is asked"),
        ],
    )
    def test_an_approval_that_could_not_count_is_refused(
        self, team: Team, asked: str, why: str
    ) -> None:
        """Nothing is signed where no step could be helped by it, and the reason is told."""
        team.policy("rules: []", f"rules: [{self.RULE.replace('ROLE', asked)}]")
        team.propose("job", READ + EDIT)
        done = team.cli("bob", "approve", "job", "--step", "edit", "--json")
        assert (done.code, codes(done)) == (4, ["approval_unfit"])
        assert why in done.text
        assert "approvals" not in team.git("ls-tree", "-r", "--name-only", "plan/job")

    def test_what_it_will_not_be_enough_for_is_noted(self, team: Team) -> None:
        """An approval that helps one step is written, with a note about the other."""
        team.policy("rules: []", f"rules: [{self.RULE.replace('ROLE', 'roles: [security]')}]")
        team.propose("job", TWO)
        notes = team.approve("bob", "job").json["notes"]
        assert notes == ["edit: bob@example.com's approval is by nobody of role security (deep)"]


class TestNamed:
    @pytest.mark.parametrize("field", ["prompter", "author"])
    def test_A11_taking_a_name_out_of_the_plan_does_not_help(self, team: Team, field: str) -> None:
        """Whom any version of the plan names as author or prompter may not approve it."""
        extra = {"prompter": PROMPTED, "author": "author: bob@example.com\n"}[field]
        team.propose("job", EDIT, extra=extra)
        team.propose("job", EDIT, extra="author: ada@example.com\n")
        done = team.cli("bob", "approve", "job", "--json")
        assert (done.code, codes(done)) == (4, ["self_approval"])
        assert "was named as its author or prompter" in done.text
        assert team.cli("cleo", "approve", "job").code == 0


def test_a_certificate_is_not_listed_as_a_key(team: Team) -> None:
    """`people add` refuses a certificate, whose bare key would not count as it is shown."""
    authority, person = team.key("authority"), team.key("dan")
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-I", "dan", "-n", "dan@example.com"]
    subprocess.run([*argv, f"{person}.pub"], check=True, capture_output=True)
    certificate = str(person.with_name("dan-cert.pub"))
    done = team.cli("ada", "people", "add", "dan@example.com", "--key", certificate)
    assert done.code == 2
    assert "cert-authority" in done.err


def test_the_reason_of_a_rejection_is_told(team: Team) -> None:
    """Whoever looks why a step does not run reads what the rejecter wrote."""
    team.propose("job", EDIT)
    assert team.cli("bob", "reject", "job", "--reason", "use math.factorial").code == 0
    assert (
        "rejected by bob@example.com (use math.factorial)" in team.cli("ada", "status", "job").out
    )


def test_an_older_approval_is_no_news_where_a_newer_one_counts(team: Team) -> None:
    """A stale approval of somebody whose new one counts is not among the reasons."""
    team.policy("rules: []", "rules: [{name: two, match: {path: utils.py}, approvals: 2}]")
    team.propose("job", EDIT)
    team.approve("bob", "job")
    team.propose("job", EDIT.replace("Add factorial()", "Add it"))
    team.approve("bob", "job")
    found = team.cli("ada", "status", "job", "--json").json["steps"][0]["reasons"]
    assert [each["code"] for each in found] == ["approvals_missing"]


def test_B04_a_letter_of_another_script_in_a_word_of_a_file_is_flagged(team: Team) -> None:
    """A name in new content that mixes Latin with Cyrillic letters is pointed out."""
    team.propose("job", EDIT.replace("def factorial", "def f\u0430ctorial"))
    shown = " ".join(team.cli("bob", "show", "job").out.split())
    assert "a word of the new content mixes in U+0430 CYRILLIC SMALL LETTER A" in shown
    team.propose(
        "job",
        EDIT.replace("def factorial", "# \u0430\u0431\u0432 \u00e9t\u00e9\n      def factorial"),
    )
    assert "mixes" not in team.cli("bob", "show", "job").out


class TestQuorum:
    RULE = "{name: both, match: {path: utils.py}, quorum: {maintainer: 1, security: 1}}"

    def test_a_vote_that_fills_a_place_is_no_misfit(self, team: Team) -> None:
        """Of a quorum only what is missing is told, not that a good vote fits one place only."""
        team.policy("rules: []", f"rules: [{self.RULE}]")
        team.policy("cleo@example.com, roles: [maintainer]", "cleo@example.com, roles: [security]")
        team.propose("job", EDIT)
        assert team.approve("bob", "job").json["notes"] == []
        found = team.cli("ada", "status", "job", "--json").json["steps"][0]["reasons"]
        assert [each["code"] for each in found] == ["approvals_missing"]
        assert "a security other than" in found[0]["message"]
        assert team.approve("cleo", "job").json["notes"] == []
        assert status(team, "job") == {"edit": "ready"}
