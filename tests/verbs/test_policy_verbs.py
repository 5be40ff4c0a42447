from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from team import EDIT, READ, Result, Team, command

RULES = """rules:
  - name: tests are free
    match: {command: "make test **"}
    approvals: 0
    examples:
      match: [make test]
      no_match: ["make test $x", make lint]
  - {name: nothing is fetched, match: {command: curl **}, deny: by hand, examples: {match: [$x]}}
  - {name: infrastructure, match: {path: "infra/**"}, quorum: {maintainer: 1, security: 1}}
  - {name: hosts, match: {risk: network}, approvals: 2, roles: [maintainer], expires_after: 4h}
"""
MAKE = command("make test", name="free")
DOUBT = command("make test $x", name="doubt", more="writes: [infra/**]\n")


def ruled(team: Team, rules: str = RULES) -> Team:
    """Put rules into the trusted policy; cleo is of security too."""
    team.policy("rules: []", rules.rstrip())
    team.policy(
        "{principal: cleo@example.com, roles: [maintainer]}",
        "{principal: cleo@example.com, roles: [maintainer, security]}",
    )
    return team


def draft(team: Team, old: str, new: str) -> Path:
    """Change the policy in the work tree alone."""
    path = team.root / "plans/policy.yaml"
    text = path.read_text()
    assert old in text, old
    path.write_text(text.replace(old, new))
    return path


def done(result: Result, code: int = 0) -> str:
    assert result.code == code, result.text
    return result.out


def outcome(team: Team, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done(team.cli("bob", "policy", "test", *options, "--json")))
    return found


def explained(team: Team, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done(team.cli("bob", "policy", "explain", *args, "--json")))
    return found


def kinds(team: Team) -> list[str]:
    return [each["kind"] for each in outcome(team)["warnings"]]


def effects(step: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (subject["about"], each["rule"], each["effect"])
        for subject in step["subjects"]
        for each in subject["rulings"]
    ]


class TestTest:
    def test_every_example_is_listed_with_its_rule_and_outcome(self, team: Team) -> None:
        """What a rule asks, and how its pattern meets each example, as text and as counts."""
        shown = team.cli("bob", "policy", "test", cwd=ruled(team).root / "plans")
        for line in (
            "1 tests are free: no approval",
            "  ✓ make test  matches",
            "  ✓ make test $x  may match, so it does not decide",
            "  ✓ make lint  does not match",
            "2 nothing is fetched: denied: by hand",
            "  ✓ $x  may match, so it is denied",
            "3 infrastructure: 1 approval by a maintainer and 1 by a security",
            "4 hosts: 2 approvals by a maintainer",
        ):
            assert line in done(shown).splitlines()
        assert "plans/policy.yaml: 4 rule(s), 4 example(s) hold, 0 warning(s)" in shown.err

    def test_the_work_trees_policy_is_tested_and_not_the_trusted_one(self, team: Team) -> None:
        """A change can be tried before it is committed."""
        draft(team, "rules: []", RULES.rstrip())
        assert [each["name"] for each in outcome(team)["rules"]] == [
            "tests are free",
            "nothing is fetched",
            "infrastructure",
            "hosts",
        ]

    def test_an_example_that_does_not_hold_is_a_problem_of_the_file(self, team: Team) -> None:
        """The file is refused as `validate` refuses it, with line, column and fix."""
        path = draft(
            team, "rules: []", RULES.replace("match: [make test]", "match: [make]").rstrip()
        )
        refused = team.cli("bob", "policy", "test")
        assert (refused.code, refused.out) == (1, "")
        checked = team.cli("bob", "validate", str(path))
        assert "'make' does not match, but stands under `match` [example_differs]" in refused.err
        assert refused.err == checked.out
        assert checked.code == 1

    def test_a_policy_whose_examples_do_not_hold_never_counts(self, team: Team) -> None:
        """Once committed it stops every plan, rather than deciding otherwise than it says."""
        team.propose("job", MAKE)
        team.policy("rules: []", RULES.replace("match: [make test]", "match: [make]").rstrip())
        for args in (("status", "job"), ("policy", "explain", "job"), ("run", "job")):
            refused = team.cli("ada", *args)
            assert refused.code == 1
            assert "example_differs" in refused.text

    def test_another_file_can_be_named(self, team: Team) -> None:
        """Its keys are those in the allowed_signers beside it."""
        folder = team.root / "other"
        folder.mkdir()
        text = (team.root / "plans/policy.yaml").read_text()
        (folder / "policy.yaml").write_text(text)
        found = outcome(team, "other/policy.yaml")
        assert found["file"] == "other/policy.yaml"
        assert [each["kind"] for each in found["warnings"]] == ["person_without_key"] * 3
        keys = (team.root / "plans/allowed_signers").read_text()
        (folder / "allowed_signers").write_text(keys)
        assert outcome(team, "other/policy.yaml")["warnings"] == []

    def test_what_is_not_there_is_not_found(self, team: Team) -> None:
        """A missing file has a hint, a folder is no policy."""
        missing = team.cli("bob", "policy", "test", "none.yaml")
        assert (missing.code, "hint: planlock init" in missing.err) == (3, True)
        assert team.cli("bob", "policy", "test", "plans").code == 5

    def test_a_repository_without_a_work_tree_has_no_policy_to_test(self, team: Team) -> None:
        """There the file must be named."""
        team.git("clone", "-q", "--bare", ".", "../bare")
        bare = team.base / "bare"
        assert team.cli("bob", "policy", "test", cwd=bare).code == 5
        named = str(team.root / "plans/policy.yaml")
        assert team.cli("bob", "policy", "test", named, cwd=bare).code == 0

    def test_keys_that_cannot_be_read_are_problems(self, team: Team) -> None:
        """Who could approve is not guessed."""
        (team.root / "plans/allowed_signers").write_text("nonsense\n")
        refused = team.cli("bob", "policy", "test")
        assert refused.code == 1
        assert "allowed_signers:1" in refused.err


class TestWarnings:
    def test_warnings_fail_only_where_that_is_asked_for(self, team: Team) -> None:
        """The same warnings, with exit code 0, or 1 with --strict."""
        draft(team, "self_approval: false", "self_approval: true")
        plain, strict = (team.cli("bob", "policy", "test", *each) for each in ((), ("--strict",)))
        assert (plain.code, strict.code) == (0, 1)
        assert plain.out == strict.out
        assert "warning: people may approve their own plans [self_approval]" in plain.out
        assert "  fix: self_approval: false" in plain.out
        draft(team, "self_approval: true", "self_approval: false")
        assert team.cli("bob", "policy", "test", "--strict").code == 0

    def test_a_new_person_without_a_key_is_told(self, team: Team) -> None:
        """Until somebody adds the key of that person."""
        draft(team, "rules: []", "rules: []  # none yet")
        draft(team, "people:\n", "people:\n  - {principal: dan@example.com}\n")
        assert kinds(team) == ["person_without_key"]
        key = f"{team.key('dan')}.pub"
        done(team.cli("ada", "people", "add", "dan@example.com", "--key", key))
        assert kinds(team) == []

    def test_A21_a_key_that_is_no_longer_valid_is_none(self, team: Team) -> None:
        """Who cannot approve now is told, though the key is listed."""
        path = team.root / "plans/allowed_signers"
        lines = path.read_text().splitlines()
        lines = [
            line.replace(" namespaces=", ' valid-before="20200101Z",namespaces=')
            if line.startswith("bob@")
            else line
            for line in lines
        ]
        path.write_text("\n".join(lines) + "\n")
        (warning,) = outcome(team)["warnings"]
        assert warning["message"].startswith("bob@example.com has no key in allowed_signers")

    def test_an_authority_for_certificates_vouches_for_whom_it_covers(self, team: Team) -> None:
        """Nobody can tell here what keys it will certify."""
        draft(team, "people:\n", "people:\n  - {principal: dan@example.com}\n")
        public = Path(f"{team.key('authority')}.pub").read_text()
        path = team.root / "plans/allowed_signers"
        line = f'*@example.com cert-authority,namespaces="planlock-approval" {public}'
        path.write_text(path.read_text() + line)
        assert kinds(team) == []

    def test_rules_that_can_do_nothing_are_told(self, team: Team) -> None:
        """Each with the name of the rule."""
        rules = """rules:
  - {name: all, match: {}, approvals: 9}
  - {name: late, match: {command: make **}, approvals: 1, roles: [wizard], assurance: hardware}
"""
        draft(team, "rules: []", rules.rstrip())
        assert [(each["rule"], each["kind"]) for each in outcome(team)["warnings"]] == [
            ("all", "too_few_people"),
            ("late", "dead_rule"),
            ("late", "role_of_nobody"),
            ("late", "no_examples"),
        ]


class TestTrying:
    def test_commands_and_changes_are_judged_without_a_plan(self, team: Team) -> None:
        """What is asked of each is told, as of a step."""
        ruled(team)
        options = ("--command", "make test", "--command", "curl x; x", "--path", "infra/a.tf")
        free, denied, shared = outcome(team, *options)["tried"]
        assert (free["id"], free["verdict"]) == ("make test", "no approval")
        assert denied["verdict"] == "denied: rule 'nothing is fetched': by hand"
        assert (
            shared["verdict"] == "1 approval by a maintainer and 1 by a security (infrastructure)"
        )
        (asked,) = shared["asked"]
        assert asked["could"] == [f"{who}@example.com" for who in ("ada", "bob", "cleo")]

    def test_only_what_was_asked_about_is_shown(self, team: Team) -> None:
        """Examples and warnings would only stand in the way."""
        shown = done(team.cli("bob", "policy", "test", "--command", "make test $x > f"))
        assert shown.splitlines() == [
            "1 make test $x > f  run_command",
            "  risk command: make test $x > f",
            "  the command",
            "    'default run_command' decides: 1 approval by a person",
            "  needs 1 approval by a person (default run_command)",
            "    'default run_command' can come from ada@example.com, bob@example.com,",
            "      cleo@example.com (assurance key)",
            "",
        ]

    @pytest.mark.parametrize(
        "options", [("--path", "../x"), ("--path", "/etc/x"), ("--path", ""), ("--command", "")]
    )
    def test_what_no_step_could_have_is_wrong_usage(
        self, team: Team, options: tuple[str, str]
    ) -> None:
        """A path outside and an empty command are refused by name."""
        refused = team.cli("bob", "policy", "test", *options)
        assert refused.code == 2
        assert options[0] in refused.err

    def test_what_a_line_hides_is_shown(self, team: Team) -> None:
        """A line that would paint the terminal is shown as what it is."""
        shown = done(team.cli("bob", "policy", "test", "--command", "make \x1b[31m \u202e"))
        assert "1 make \\x1b[31m \\u202e  run_command" in shown.splitlines()

    @pytest.mark.parametrize(
        "line,why",
        [
            ("make test $(x)", "in doubt: it has `$(`, so it may run anything"),
            ("make test > f", "in doubt: it has more than plain words"),
            ("make test; x", "in doubt: a pattern must match all of its 2 commands"),
            ("env make test", "in doubt: it may start other commands, or lies in a folder"),
        ],
    )
    def test_why_a_rule_is_in_doubt_about_a_command_is_told(
        self, team: Team, line: str, why: str
    ) -> None:
        """The author sees what to write otherwise."""
        (step,) = outcome(ruled(team), "--command", line)["tried"]
        (subject,) = step["subjects"]
        assert subject["note"] == why

    def test_a_path_in_doubt_is_told_too(self, team: Team) -> None:
        """A glob that a rule covers in part, or a name in capitals."""
        for step in outcome(ruled(team), "--path", "inf*/**", "--path", "INFRA/a.tf")["tried"]:
            assert step["subjects"][0]["note"].startswith("in doubt: the rule's path covers a part")


class TestExplain:
    def test_each_step_is_explained_subject_by_subject(self, team: Team) -> None:
        """Which rules met the command and each change, in order, and what is asked in the end."""
        ruled(team).propose("job", READ + EDIT + MAKE + DOUBT)
        read, edit, free, doubt = explained(team, "job")["steps"]
        assert effects(read) == [("reading utils.py", "default read_file", "decides")]
        assert effects(edit) == [("changing utils.py", "default edit_file", "decides")]
        assert effects(free) == [("the command", "tests are free", "decides")]
        assert free["verdict"] == "no approval"
        assert effects(doubt) == [
            ("the command", "tests are free", "adds"),
            ("the command", "default run_command", "decides"),
            ("changing infra/**", "infrastructure", "decides"),
        ]
        assert doubt["verdict"] == (
            "1 approval by a person (default run_command);"
            " 1 approval by a maintainer and 1 by a security (infrastructure)"
        )
        assert [each["label"] for each in doubt["risks"]] == ["command"]

    def test_who_could_still_approve_leaves_out_who_may_not(self, team: Team) -> None:
        """Author and makers of the plan are named with the reason, and are no candidates."""
        ruled(team).propose("job", EDIT)
        plan = team.root / "plans/job/plan.yaml"
        plan.write_text(plan.read_text().replace("Do job", "Do the job"))
        done(team.cli("bob", "propose", "job"))
        found = explained(team, "job")
        assert found["excluded"] == {
            "ada@example.com": "is the plan's author",
            "bob@example.com": "made a commit of the plan",
        }
        (asked,) = found["steps"][0]["asked"]
        assert (asked["could"], asked["short"]) == (["cleo@example.com"], "")

    def test_what_too_few_people_could_meet_is_told(self, team: Team) -> None:
        """A quorum that is left with one person of two roles cannot be met."""
        rules = RULES.replace("quorum: {maintainer: 1, security: 1}", "quorum: {maintainer: 3}")
        ruled(team, rules).propose("job", DOUBT)
        step = explained(team, "job")["steps"][0]
        assert step["asked"][1]["short"] == (
            "asks for 3 people of role maintainer, and only 2 could approve"
        )
        shown = done(team.cli("bob", "policy", "explain", "job"))
        assert "'infrastructure' cannot be met: asks for 3 people of role" in shown

    def test_what_no_approval_mends_is_told(self, team: Team) -> None:
        """A host that the policy does not list stands at its step, what is wrong everywhere on top."""
        ruled(team).propose("job", MAKE + command("make", more="network: [a.org]\n"))
        found = explained(team, "job")
        assert found["refusals"] == []
        assert [[each["code"] for each in step["refusals"]] for step in found["steps"]] == [
            [],
            ["network_not_allowed"],
        ]
        path = team.plan("draft", MAKE + READ)
        found = explained(team, str(path))
        assert [each["code"] for each in found["refusals"]] == ["not_proposed"]
        assert [step["refusals"] for step in found["steps"]] == [[], []]

    def test_a_change_of_the_policy_can_be_tried_on_a_plan(self, team: Team) -> None:
        """A file of the work tree is used as if it counted, and nothing counts for it."""
        team.propose("job", MAKE)
        path = draft(team, "rules: []", RULES.rstrip())
        now, then = explained(team, "job"), explained(team, "job", "--policy", str(path))
        assert now["steps"][0]["verdict"] == "1 approval by a person (default run_command)"
        assert then["steps"][0]["verdict"] == "no approval"
        assert now["policy"].startswith("refs/heads/main@")
        assert then["policy"] == f"{path}, as if it were trusted"
        assert team.cli("ada", "status", "job", "--json").json["steps"][0]["status"] == "waiting"

    def test_a_plan_that_is_only_a_file_is_explained(self, team: Team) -> None:
        """There is no author yet, so everybody could approve; its prompter could not."""
        planner = (
            "planner:\n  model: m\n  request: sha256:" + "0" * 64 + "\n"
            "  tokens: {input: 1, output: 1}\n  prompter: bob@example.com\n"
        )
        path = team.plan("draft", EDIT, extra=planner)
        found = explained(team, str(path))
        assert (found["plan"], found["source"]) == ("draft", str(path))
        assert found["excluded"] == {"bob@example.com": "prompted the model that wrote the plan"}
        assert found["steps"][0]["asked"][0]["could"] == ["ada@example.com", "cleo@example.com"]

    def test_what_is_shown_fits_a_terminal_of_80_columns(self, team: Team) -> None:
        """Long commands, names and lists are broken between words, line ends are shown as such."""
        ruled(team).propose(
            "job", DOUBT + command("make " + "véry " * 40 + "long\necho x", name="x")
        )
        shown = done(team.cli("bob", "policy", "explain", "job"))
        assert max(map(len, shown.splitlines())) <= 80
        assert "long\\necho" in shown
        assert "    one approval counts for each of these that it fits" in shown.splitlines()
        assert "  ada@example.com is the plan's author, so may not approve" in shown.splitlines()

    def test_a_denied_step_says_so(self, team: Team) -> None:
        """No approval would help, so none is spoken of."""
        ruled(team).propose("job", command("make test; curl x"))
        shown = done(team.cli("bob", "policy", "explain", "job"))
        assert "    'nothing is fetched' denies (may match): by hand" in shown.splitlines()
        assert "  denied: rule 'nothing is fetched': by hand" in shown.splitlines()
        assert "needs" not in shown

    def test_a_plan_or_policy_that_is_not_there_is_not_found(self, team: Team) -> None:
        """As with `show`."""
        assert team.cli("bob", "policy", "explain", "none").code == 3
        team.propose("job", READ)
        assert team.cli("bob", "policy", "explain", "job", "--policy", "none.yaml").code == 3

    def test_a_refusal_leads_to_the_explanation(self, team: Team) -> None:
        """An approval that does not fit a rule has this command as its fix."""
        rules = RULES.replace("quorum: {maintainer: 1, security: 1}", "quorum: {security: 1}")
        ruled(team, rules).propose("job", DOUBT)
        team.approve("bob", "job")
        reasons = team.cli("bob", "status", "job", "--json").json["steps"][0]["reasons"]
        fixes = {each["fix"] for each in reasons if each["code"] == "approval_unfit"}
        assert fixes == {"planlock policy explain job"}
