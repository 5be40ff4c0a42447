"""Attacks on who decides: changed minds, outsiders, bots, and signatures in another's name."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from forging import (
    answer,
    approvals_of,
    codes,
    commit_on,
    draft,
    forge,
    parsed,
    record_files,
    run_codes,
)
from tampering import findings
from team import EDIT, Team

# As `web-flow` of a forge signs: made with gpg, by a key that is in no allowed_signers.
PGP = (
    "gpgsig -----BEGIN PGP SIGNATURE-----",
    "",
    "iQIzBAABCAAdFiEEzsyyXf8LSfmvHcRmtWkO7v1fR4kFAmcAAAAACgkQtWkO7v1f",
    "R4m3bA/+K0aVcJw=",
    "=Wq1o",
    "-----END PGP SIGNATURE-----",
)


def public(team: Team, name: str) -> str:
    return team.key(name).with_suffix(".pub").read_text()


def list_key(team: Team, name: str, namespaces: str) -> None:
    """Let the trusted branch list a key of somebody who is no person of the policy."""
    key = public(team, name)
    path = team.root / "plans/allowed_signers"
    line = f'{name}@example.com namespaces="{namespaces}" {key}'
    team.commit({"plans/allowed_signers": path.read_text() + line}, f"List {name}")


def refused(team: Team, who: str, *args: str, env: Mapping[str, str] | None = None) -> list[str]:
    """Decide where nobody may, and give the codes; the plan's branch must not move."""
    tip = team.git("rev-parse", "plan/job")
    done = team.cli(who, *args, "--json", env=env)
    assert (done.code, team.git("rev-parse", "plan/job")) == (4, tip), done.text
    return codes(done)


class TestA07:
    """The latest decision of a person counts, and the older record stays listed."""

    @pytest.fixture
    def team(self, team: Team) -> Team:
        team.propose("job", EDIT)
        team.approve("bob", "job")
        return team

    def states(self, team: Team) -> list[str]:
        done = team.cli("ada", "status", "job", "--json")
        return [each["status"] for each in done.json["steps"]]

    def records(self, team: Team) -> list[str]:
        """What the records on the plan's branch decide."""
        found = approvals_of(team, "job").items()
        return sorted(parsed(data)["decision"] for path, data in found if path.endswith(".yaml"))

    @pytest.mark.parametrize("verb,state", [("withdraw", "waiting"), ("reject", "rejected")])
    def test_A07_a_later_decision_of_the_same_person_counts(
        self, team: Team, verb: str, state: str
    ) -> None:
        """After an approval bob thinks again: the step does not run, and both records are there."""
        assert self.states(team) == ["ready"]
        assert team.cli("bob", verb, "job").code == 0
        assert self.states(team) == [state]
        assert self.records(team) == ["approve", verb]

    def test_A07_a_withdraw_stops_what_the_same_person_had_approved(self, team: Team) -> None:
        """Nothing runs after it, and no run is made."""
        assert team.cli("bob", "withdraw", "job").code == 0
        assert run_codes(team, "job") == ["approvals_missing", "withdrawn"]
        assert team.refs("refs/heads/planlock/") == []
        assert findings(team) == {}

    def test_A07_a_reject_skips_what_the_same_person_had_approved(self, team: Team) -> None:
        """The run that follows leaves the step out, and the audit agrees."""
        assert team.cli("bob", "reject", "job").code == 0
        done = team.cli("ada", "run", "job", "--json")
        assert (done.code, answer(done)["steps"]) == (0, {"edit": "skipped"})
        assert team.git("diff", "--name-only", "main", "planlock/job/1", "--", "utils.py") == ""
        assert findings(team) == {}

    def test_A07_a_mind_changed_twice(self, team: Team) -> None:
        """An approval after a reject counts, since it names what it takes the place of."""
        assert team.cli("bob", "reject", "job").code == 0
        team.approve("bob", "job", "--step", "edit")
        assert self.states(team) == ["ready"]
        assert self.records(team) == ["approve", "approve", "reject"]
        assert team.cli("ada", "run", "job").code == 0
        assert findings(team) == {}

    def test_A07_another_persons_approval_does_not_lift_a_reject(self, team: Team) -> None:
        """However many approve: a reject stands until whoever rejected decides otherwise."""
        assert team.cli("bob", "reject", "job").code == 0
        assert refused(team, "cleo", "approve", "job") == ["rejected"]
        forge(team, "job", draft(team, "job", "cleo"), key="cleo")
        assert self.states(team) == ["rejected"]


class TestA08:
    """Who is not listed, or listed without being a person of the policy, decides nothing."""

    @pytest.fixture
    def team(self, team: Team) -> Team:
        team.propose("job", EDIT)
        return team

    @pytest.mark.parametrize("verb", ["approve", "reject", "withdraw"])
    def test_A08_an_outsider_is_told_so(self, team: Team, verb: str) -> None:
        """With a key that nobody listed no decision is written."""
        assert refused(team, "mallory", verb, "job") == ["key_not_listed"]

    @pytest.mark.parametrize("named", ["mallory", "bob"])
    def test_A08_an_outsiders_record_does_not_count(self, team: Team, named: str) -> None:
        """Pushed past `approve`, in their own name or in bob's, it is no approval."""
        forge(team, "job", draft(team, "job", named), key="mallory")
        assert run_codes(team, "job") == ["approvals_missing", "bad_signature"]
        assert "of nobody listed signed it" in findings(team)["approval_forged"]

    def test_A08_an_outsiders_reject_stops_nothing(self, team: Team) -> None:
        """Neither can who may not approve hold a plan up."""
        team.approve("bob", "job")
        against = draft(team, "job", "mallory", decision="reject")
        forge(team, "job", against, key="mallory")
        assert team.cli("ada", "run", "job").code == 0

    def test_A08_a_key_without_a_person(self, team: Team) -> None:
        """A listed key whose owner the policy does not name neither decides nor counts."""
        list_key(team, "dan", "git,planlock-approval")
        assert refused(team, "dan", "approve", "job") == ["not_a_person"]
        forge(team, "job", draft(team, "job", "dan"), key="dan")
        assert run_codes(team, "job") == ["approvals_missing", "not_a_person"]

    def test_A08_a_person_without_the_role(self, team: Team) -> None:
        """Where a rule asks for a role, a person who has another one is not enough."""
        key = f"{team.key('dan')}.pub"
        add = ["people", "add", "dan@example.com", "--key", key, "--role", "reader"]
        assert team.cli("ada", *add).code == 0
        team.git("commit", "-qam", "Add dan")
        rule = '{name: core, match: {path: "**"}, approvals: 1, roles: [maintainer]}'
        team.policy("rules: []", f"rules: [{rule}]")
        forge(team, "job", draft(team, "job", "dan"), key="dan")
        assert "approvals_missing" in run_codes(team, "job")
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job").code == 0

    def test_A08_a_person_who_left_does_not_count(self, team: Team) -> None:
        """People count as of use: bob's approval ends when the policy drops him."""
        team.approve("bob", "job")
        text = (team.root / "plans/policy.yaml").read_text()
        line = next(each for each in text.splitlines(keepends=True) if "bob@example.com" in each)
        team.policy(line, "")
        assert run_codes(team, "job") == ["approvals_missing", "not_a_person"]

    def test_A12_a_key_that_only_the_plans_branch_lists(self, team: Team) -> None:
        """Who lists their own key beside the plan has no more rights than before."""
        key = public(team, "mallory")
        signers = (team.root / "plans/allowed_signers").read_text()
        line = f'bob@example.com namespaces="git,planlock-approval" {key}'
        files: dict[str, bytes | None] = {"plans/allowed_signers": f"{signers}{line}".encode()}
        forge(team, "job", draft(team, "job", "bob"), key="mallory")
        assert run_codes(team, "job") == ["approvals_missing", "bad_signature"]
        commit_on(team, "plan/job", files, who="mallory")
        assert run_codes(team, "job") == ["stale"]
        assert refused(team, "mallory", "approve", "job") == ["key_not_listed"]


class TestA10:
    """Machines do not approve, whatever they are listed for."""

    @pytest.fixture
    def team(self, team: Team) -> Team:
        list_key(team, "bot", "git,planlock-run,planlock-witness")
        team.propose("job", EDIT)
        return team

    def test_A10_a_bot_cannot_use_the_command(self, team: Team) -> None:
        """A key that is listed for commits, runs and witness records writes no decision."""
        assert refused(team, "bot", "approve", "job") == ["key_not_listed"]

    def test_A10_the_runner_cannot_use_the_command(self, team: Team) -> None:
        """The runner's key, which signs every commit of a run, writes no decision either."""
        env = {"PLANLOCK_KEY": str(team.root / ".git/planlock/runner_key")}
        assert refused(team, "ada", "approve", "job", env=env) == ["key_not_listed"]

    @pytest.mark.parametrize("named", ["bot", "bob"])
    def test_A10_a_bots_approval_does_not_count(self, team: Team, named: str) -> None:
        """A record that a bot signed as an approval, in whoever's name, is none."""
        forge(team, "job", draft(team, "job", named), key="bot")
        found = run_codes(team, "job")
        assert found == [
            "approvals_missing",
            "key_not_valid" if named == "bot" else "bad_signature",
        ]

    @pytest.mark.parametrize("namespace", ["git", "planlock-run", "planlock-witness"])
    def test_A10_a_bots_other_namespaces_are_no_approval(self, team: Team, namespace: str) -> None:
        """What it may sign for other ends is not read as a decision."""
        value = draft(team, "job", "bot")
        forge(team, "job", value, key="bot", namespace=namespace)
        assert run_codes(team, "job") == ["approvals_missing", "bad_signature"]

    def test_A10_a_bot_that_the_policy_names_is_still_no_approver(self, team: Team) -> None:
        """A policy that takes a bot for a person does not widen what its key is listed for."""
        person = "  - principal: bot@example.com\n    roles: [maintainer]\n"
        team.policy("people:\n", f"people:\n{person}")
        forge(team, "job", draft(team, "job", "bot"), key="bot")
        assert run_codes(team, "job") == ["approvals_missing", "key_not_valid"]


class TestA17:
    """Only keys in allowed_signers count, whatever a forge verifies under a person's name."""

    @pytest.fixture
    def team(self, team: Team) -> Team:
        team.propose("job", EDIT)
        team.approve("bob", "job")
        return team

    def test_A17_a_commit_by_the_forges_key_under_a_persons_name(self, team: Team) -> None:
        """A plan edited on the web, in ada's name, signed by the forge's key, is unsigned."""
        tip = self.edit(team, who="ada", key="forge")
        known = team.base / "forge_signers"
        known.write_text(f"ada@example.com {public(team, 'forge')}")
        say = ["-c", f"gpg.ssh.allowedSignersFile={known}", "log", "-1", "--format=%G? %GS %ae"]
        assert team.git(*say, tip) == "G ada@example.com ada@example.com"
        team.approve("bob", "job")
        assert run_codes(team, "job") == ["plan_unsigned"]

    def test_A17_the_key_decides_not_the_name(self, team: Team) -> None:
        """The same commit with ada's key, under the forge's name, is ada's."""
        self.edit(team, who="forge", key="ada")
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job").code == 0

    def test_A17_a_commit_verified_by_gpg(self, team: Team) -> None:
        """A signature of another kind than SSH is none, though a forge shows it as verified."""
        tip = self.edit(team, who="ada", key="ada")
        head, _, rest = team.git("cat-file", "commit", tip).partition("gpgsig ")
        body = rest.partition("-----END SSH SIGNATURE-----\n")[2].lstrip(" \n")
        by_gpg = "\n ".join(PGP)
        write = ["hash-object", "-w", "-t", "commit", "--stdin"]
        web = team.git(*write, stdin=f"{head}{by_gpg}\n\n{body}\n")
        team.git("update-ref", "refs/heads/plan/job", web)
        team.approve("bob", "job")
        assert run_codes(team, "job") == ["plan_unsigned"]

    def test_A17_a_signature_taken_from_another_commit(self, team: Team) -> None:
        """Ada's genuine signature of one commit does not sign the next one."""
        tip = self.edit(team, who="ada", key="ada")
        text = team.git("cat-file", "commit", tip)
        write = ["hash-object", "-w", "-t", "commit", "--stdin"]
        moved = team.git(*write, stdin=text.replace("By hand", "By me"))
        team.git("update-ref", "refs/heads/plan/job", moved)
        team.approve("bob", "job")
        assert run_codes(team, "job") == ["plan_unsigned"]

    def test_A17_an_approval_by_the_forges_key(self, team: Team) -> None:
        """A record in bob's name that the forge's key signed is not bob's."""
        assert team.cli("bob", "withdraw", "job").code == 0
        commit_on(
            team,
            "plan/job",
            record_files("job", draft(team, "job", "cleo"), team.key("forge")),
            who="cleo",
            signed=True,
            key=team.key("forge"),
        )
        assert set(run_codes(team, "job")) == {"approvals_missing", "withdrawn", "bad_signature"}

    def edit(self, team: Team, *, who: str, key: str) -> str:
        """Change the plan in one person's name with another's key."""
        text = team.show_file("plan/job", "plans/job/plan.yaml").replace("Add fac", "Write fac")
        files: dict[str, bytes | None] = {"plans/job/plan.yaml": f"{text}\n".encode()}
        return commit_on(team, "plan/job", files, who=who, signed=True, key=team.key(key))
