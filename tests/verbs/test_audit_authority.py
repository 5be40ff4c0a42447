"""`planlock audit` on policy and keys: what each change changed, and how it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from authority import (
    AS_PERSON,
    KEYS,
    NOBODY,
    POLICY,
    as_signer,
    changes,
    edit,
    last,
    notes,
    save,
    save_unsigned,
    side_branch,
    words,
)
from tampering import copy, findings
from team import Team

DOCS = 'rules:\n- {name: docs, match: {step_type: edit_file, path: "docs/**"}, approvals: 0}'


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return Team.governed(tmp_path_factory.mktemp("governed"), "bob", "cleo")


@pytest.fixture
def team(ready: Team, tmp_path: Path) -> Team:
    return copy(ready, tmp_path)


class TestWhatChanged:
    def test_first_commit_sets_policy_and_keys_up(self, team: Team) -> None:
        """People, settings and keys that it brings are listed; nobody could stand behind them."""
        [first] = changes(team)
        assert first["account"] == (
            "policy and keys set up by ada <ada@example.com>, by name only: unsigned"
        )
        assert (first["set_up"], first["stood_by"], first["doubtful"]) == (True, [], False)
        told = list(words(first))
        assert "person bob@example.com: roles [maintainer]" in told
        assert any("assurance key, self_approval false" in each for each in told)
        assert any(
            each.endswith(" of cleo@example.com: for git planlock-approval") for each in told
        )
        assert not any(words(first).values())
        assert notes(team) == []

    def test_signed_setup_names_its_signer(self, tmp_path: Path) -> None:
        """The first keys are proved by nothing but themselves, and that is said."""
        team = Team.start(tmp_path)
        assert team.cli("ada", "init").code == 0
        team.git("add", "plans")
        save(team, "ada")
        assert last(team)["account"] == (
            "policy and keys set up by ada@example.com, with a key that the commit itself lists"
        )

    def test_added_person_and_key(self, team: Team) -> None:
        """What `people add` wrote loosens twice, and says who let the new one in."""
        key = f"{team.key('dan')}.pub"
        done = team.cli(
            "ada", "people", "add", "dan@example.com", "--key", key, "--role", "lead", "--json"
        )
        team.git("add", "plans")
        commit = save(team, "ada")
        change = last(team)
        assert (change["commit"], change["stood_by"]) == (commit, ["ada@example.com"])
        name = f"key {done.json['fingerprint']} of dan@example.com"
        assert words(change) == {
            "added person dan@example.com: roles [lead]": True,
            f"added {name}: for git planlock-approval": True,
        }

    def test_loosened_rule(self, team: Team) -> None:
        """A rule that asks less than the default loosens, and that only its signer did so is noted."""
        edit(team, "rules: []", DOCS)
        save(team, "bob")
        edit(team, "approvals: 0", "approvals: 2")
        save(team, "cleo")
        newest, before, _ = changes(team)
        assert newest["account"] == f"signed by cleo@example.com {AS_PERSON}"
        assert words(newest) == {"changed rule 'docs': approvals: 0 -> 2": False}
        assert before["account"] == f"signed by bob@example.com {AS_PERSON}"
        assert words(before) == {
            "added rule 'docs': match.step_type edit_file, match.path docs/**, approvals 0": True
        }
        assert [change["alone"] for change in (newest, before)] == [False, True]
        assert notes(team) == [
            (
                f"policy or keys loosened in {before['commit'][:12]}, {before['account']}: "
                "loosens, and only bob@example.com stands behind it"
            )
        ]

    def test_revert(self, team: Team) -> None:
        """The change back is told in full, and where the state is known from."""
        first = team.git("rev-parse", "HEAD")
        edit(team, "self_approval: false", "self_approval: true")
        save(team, "ada")
        as_signer(team, "bob", "revert", "--no-edit", "-S", "HEAD")
        change = last(team)
        assert change["stood_by"] == ["bob@example.com"]
        assert words(change) == {
            "self_approval: true -> false": False,
            f"{POLICY} is again as in {first[:12]}": False,
        }

    def test_comment_alone(self, team: Team) -> None:
        """A change of text that changes no meaning is told as that."""
        edit(team, "# Who must", "# Who surely must")
        edit(team, "# Whose key", "# Which key", path=KEYS)
        save(team, "ada")
        assert words(last(team)) == {
            f"{POLICY}: nothing but comments, order or layout": False,
            f"{KEYS}: nothing but comments, order or layout": False,
        }

    def test_invalid_policy_in_between(self, team: Team) -> None:
        """It is told as such, and the next valid one is held against the last valid one."""
        first = team.git("rev-parse", "HEAD")
        edit(team, "assurance: key", "assurance: kei")
        save(team, "ada")
        edit(team, "assurance: kei", "assurance: forge")
        save(team, "ada")
        mended, broken, _ = changes(team)
        [what] = words(broken)
        assert what.startswith(f"{POLICY} not valid, so nothing may run: {POLICY}:")
        assert '"kei"' in what
        assert mended["account"] == f"signed by ada@example.com {AS_PERSON}"
        assert words(mended) == {
            f"{POLICY} valid again, compared with {first[:12]}": False,
            "assurance: key -> forge": True,
        }

    def test_removed_files_come_back(self, team: Team) -> None:
        """Removing policy and keys is no way around a comparison, nor to be let in."""
        first = team.git("rev-parse", "HEAD")
        team.git("rm", "-q", POLICY, KEYS)
        save(team, "ada")
        team.git("checkout", "-q", first, "--", "plans")
        edit(team, "plans_signed: true", "plans_signed: false")
        save(team, "ada")
        back, gone, _ = changes(team)
        assert set(words(gone)) == {
            f"{POLICY} removed, so nothing may run",
            f"{KEYS} removed, so nothing may run",
        }
        assert words(back)["plans_signed: true -> false"]
        assert not back["set_up"]
        assert back["account"].startswith(f"{NOBODY}signed by key SHA256:")
        assert back["account"].endswith(", and no keys before it can be read")

    def test_other_branches_are_not_listed(self, team: Team) -> None:
        """A policy that the trusted branch never had is no change of it."""
        side_branch(team, "bob")
        assert len(changes(team)) == 1


class TestOutput:
    def test_section_of_the_text(self, team: Team) -> None:
        """Newest first: commit, date, who signed, then a line for each change."""
        edit(team, "rules: []", DOCS)
        save(team, "bob", date="2026-01-02T03:04:05Z")
        side_branch(team, "cleo")
        as_signer(team, "ada", "merge", "-q", "--no-ff", "-S", "-m", "Merge", "side")
        merge, rule, first = changes(team)
        shown = team.cli("ada", "audit").out.splitlines()
        assert shown[:7] == [
            "Policy and keys, newest change first",
            (
                f"{merge['commit'][:12]}  {merge['date']}  merged by ada@example.com, who signed; "
                "written by cleo@example.com (signed)"
            ),
            f"    merged   {merge['merged'][0]['commit'][:12]}, signed by cleo@example.com",
            "    loosens  approvals_expire_after: 7d -> 30d",
            f"{rule['commit'][:12]}  2026-01-02T03:04:05Z  signed by bob@example.com {AS_PERSON}",
            (
                "    loosens  added rule 'docs': match.step_type edit_file, match.path docs/**,"
                " approvals 0"
            ),
            f"{first['commit'][:12]}  {first['date']}  {first['account']}",
        ]
        assert shown[7] == "             person ada@example.com: roles [maintainer]"

    def test_long_change_is_cut_but_for_what_loosens(self, team: Team) -> None:
        """Twelve lines of each change are shown, first those that loosen; JSON has all."""
        names = [f"p{number:02}" for number in range(20)]
        people = "".join(
            f"  - {{principal: {name}@example.com, roles: [lead]}}\n" for name in names
        )
        edit(team, "people:\n", f"people:\n{people}")
        save(team, "ada")
        edit(team, people, "")
        edit(team, "self_approval: false", "self_approval: true")
        save(team, "ada")
        newest, before, _ = changes(team)
        assert (len(newest["changes"]), len(before["changes"])) == (21, 20)
        shown = team.cli("ada", "audit").out.splitlines()
        assert shown[2] == "    loosens  self_approval: false -> true"
        assert shown[14] == "    … 9 more (--json has all)"
        assert shown[28] == "    … 8 more, 8 of which loosen (--json has all)"
        assert shown[29].startswith(changes(team)[2]["commit"][:12])

    def test_names_stay_on_their_line(self, team: Team) -> None:
        """A rule's name or a committer's cannot draw lines of its own into the output."""
        edit(team, "rules: []", DOCS.replace("name: docs", r'name: "x\n    approved by bob"'))
        edit(team, "assurance: key", r'assurance: "k\nnote  all is well"')
        save_unsigned(team, "mal\x1b[31mlory")
        edit(team, r'"k\nnote  all is well"', "key")
        save(team, "ada")
        shown = team.cli("ada", "audit").out
        assert not any(line.startswith("note  all is well") for line in shown.splitlines())
        assert not any(line.strip() == "approved by bob" for line in shown.splitlines())
        assert "\x1b[31m" not in shown
        assert r"added rule 'x\n    approved by bob'" in shown

    def test_plain_clone_tells_the_same_offline(self, team: Team) -> None:
        """A clone needs nothing of where it came from to tell every change."""
        side_branch(team, "bob")
        as_signer(team, "ada", "merge", "-q", "--no-ff", "-S", "-m", "Merge", "side")
        here, there = changes(team), team.base / "clone"
        team.git("clone", "-q", f"file://{team.root}", str(there))
        team.root.rename(team.base / "gone")
        assert changes(team, cwd=there) == here

    def test_lost_commit_is_a_finding(self, team: Team) -> None:
        """A policy that cannot be read any more is found, and the rest is told."""
        edit(team, "7d", "8d")
        save(team, "ada")
        blob = team.git("rev-parse", f"HEAD:{POLICY}")
        edit(team, "8d", "9d")
        save(team, "ada")
        (team.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
        assert "unreadable" in findings(team)
