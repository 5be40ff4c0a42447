from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from runner import schemas
from runner.core import documents, policy, policy_checks
from runner.core.errors import InvalidDocument, Problem
from runner.core.policy import PolicyFile
from runner.core.validation import read_policy

SAMPLE: Final = Path(__file__).parents[1] / "examples/valid/policy.yaml"
ADA: Final = {"principal": "ada@example.com"}
HEAD: Final[dict[str, Any]] = {
    "version": 1,
    "repository": "0f8e6c1e-7d0b-4f5e-9a53-0f3c2b7a9d11",
    "people": [ADA],
}


def read(value: dict[str, Any]) -> PolicyFile:
    data = documents.dump(value)
    return read_policy(data, file="plans/policy.yaml", schema=schemas.load("policy"))[1]


def found(**fields: Any) -> list[tuple[str, str]]:
    """Refusals of a policy with these fields, the same from the reader and from the model."""
    value = {**HEAD, **fields}
    with pytest.raises(InvalidDocument) as caught:
        read(value)
    problems = [(each.code, each.path) for each in caught.value.problems]
    with pytest.raises(InvalidDocument) as caught:
        policy.build(value, file="plans/policy.yaml")
    assert problems == [(each.code, each.path) for each in caught.value.problems]
    return problems


def rule(**fields: Any) -> dict[str, Any]:
    return {"name": "a rule", "match": {}, **fields}


def test_the_least_policy_needs_only_people() -> None:
    """What is left out has the strict default."""
    read_policy_file = read(HEAD).policy
    assert read_policy_file.assurance == "forge"
    assert not read_policy_file.self_approval
    assert read_policy_file.sandbox.require == "confined"
    assert read_policy_file.rules == []


@pytest.mark.parametrize("ways", [{}, {"approvals": 1, "deny": "never"}])
def test_a_rule_asks_for_approvals_or_denies(ways: dict[str, Any]) -> None:
    """A rule that does neither, or both, is refused."""
    assert found(rules=[rule(**ways)]) == [("exactly_one", "rules[0]")]


@pytest.mark.parametrize(
    "extra", [{"roles": ["maintainer"]}, {"assurance": "key"}, {"expires_after": "4h"}]
)
def test_a_rule_that_denies_says_nothing_about_approvals(extra: dict[str, Any]) -> None:
    """Who wrote roles beside a deny meant something else than what would happen."""
    assert found(rules=[rule(deny="never", **extra)]) == [("deny_extras", "rules[0]")]


@pytest.mark.parametrize(
    "pattern", ["infra/", "/infra/**", "./infra/**", "../**", "infra//x", "infra\\x", "a/../b"]
)
def test_a_pattern_that_matches_no_path_is_refused(pattern: str) -> None:
    """A deny that can never match would look like protection."""
    assert found(rules=[rule(match={"path": pattern}, deny="never")]) == [
        ("dead_pattern", "rules[0].match.path")
    ]


@pytest.mark.parametrize(
    "pattern", ["**", "*", "docs/**", "**/*.tf", ".github/**", ".git/**", "plans/**", "a?c"]
)
def test_a_pattern_that_can_match_is_accepted(pattern: str) -> None:
    """Forbidding what is always forbidden does no harm."""
    assert read({**HEAD, "rules": [rule(match={"path": pattern}, deny="never")]})


def test_a_principal_stands_once() -> None:
    """Two entries could carry different roles."""
    people = [ADA, {"principal": "bob@example.com"}, {**ADA, "roles": ["maintainer"]}]
    assert found(people=people) == [("duplicate_person", "people[2].principal")]


def test_an_account_on_a_forge_is_of_one_person() -> None:
    """One account for two people would let one reviewer count twice."""
    people = [
        {"principal": name, "github": {"login": name, "id": 1234}}
        for name in ("ada@example.com", "bob@example.com")
    ]
    assert found(people=people) == [("duplicate_person", "people[1].github.id")]


def test_all_problems_between_fields_are_found_at_once() -> None:
    """People and rules are checked to the last."""
    rules = [rule(), rule(deny="x", match={"path": "/x"}), rule(deny="x", approvals=0)]
    assert found(people=[ADA, ADA], rules=rules) == [
        ("duplicate_person", "people[1].principal"),
        ("exactly_one", "rules[0]"),
        ("dead_pattern", "rules[1].match.path"),
        ("exactly_one", "rules[2]"),
    ]


def test_A36_sandbox_and_plugins_as_written_are_the_execution_digest() -> None:
    """Only they change it, and writing a default out changes it too."""
    sample = documents.parse(SAMPLE.read_bytes(), file="policy.yaml").value
    before = read(sample).execution
    assert read({**sample, "self_approval": True, "rules": []}).execution == before
    changes: list[dict[str, Any]] = [
        {"sandbox": {**sample["sandbox"], "network": ["example.org"]}},
        {"sandbox": {**sample["sandbox"], "require": "none"}},
        {"plugins": []},
    ]
    executions = {read({**sample, **change}).execution for change in changes}
    assert len(executions | {before}) == 4
    assert read(HEAD).execution != read({**HEAD, "plugins": []}).execution


@pytest.mark.parametrize("broken", [None, [], "x", {"people": 1, "rules": {}}, {"rules": [1]}])
def test_checks_between_fields_take_broken_policies(broken: object) -> None:
    """They run beside the schema, so nothing about the value may be taken for granted."""
    assert list(policy_checks.cross_checks(broken)) == []


def test_checks_between_fields_take_parts_of_any_type() -> None:
    """What is of a wrong type is the schema's to refuse."""
    oddities: tuple[Any, ...] = (None, 5, [], ["x"], {"id": []}, "x")
    for odd in oddities:
        person = {"principal": odd, "github": odd}
        wrong = {"match": odd, "deny": odd, "roles": odd, "approvals": odd}
        value = {"people": [person, person, odd], "rules": [wrong, odd, {"match": {"path": odd}}]}
        codes = {code for code, *_ in policy_checks.cross_checks(value)}
        assert codes <= {"duplicate_person", "exactly_one", "deny_extras"}


DEPLOY: Final = rule(match={"step_type": "deploy"}, deny="by hand")
WRONG: Final[dict[str, dict[str, Any]]] = {
    "duplicate_person": {"people": [ADA, ADA]},
    "exactly_one": {"rules": [rule()]},
    "deny_extras": {"rules": [rule(deny="no", roles=["a"])]},
    "quorum_roles": {"rules": [rule(quorum={"a": 1}, roles=["a"])]},
    "match_mix": {"rules": [rule(match={"path": "a", "command": "b"}, deny="no")]},
    "unknown_step_type": {"rules": [DEPLOY]},
    "example_misfit": {"rules": [rule(deny="no", examples={"match": ["a"]})]},
    "example_differs": {"rules": [rule(match={"path": "a"}, deny="no", examples={"match": ["b"]})]},
}
DEAD: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "docs/": ("path", {"path": "docs/"}),
    "make;": ("command", {"command": "make;"}),
    " ": ("command", {"command": " "}),
    "analyze": ("path", {"step_type": "analyze", "path": "a"}),
    "edit_file": ("command", {"step_type": "edit_file", "command": "a"}),
}


def only_problem(**fields: Any) -> Problem:
    with pytest.raises(InvalidDocument) as caught:
        policy.build({**HEAD, **fields}, file="plans/policy.yaml")
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize("code", WRONG)
def test_each_problem_between_fields_is_explained_and_has_a_fix(code: str) -> None:
    """Every problem says where it is, what is wrong and what to write."""
    problem = only_problem(**WRONG[code])
    assert (problem.code, problem.file) == (code, "plans/policy.yaml")
    assert problem.message
    assert problem.fix


@pytest.mark.parametrize("named", DEAD)
def test_a_pattern_that_matches_nothing_is_told_with_what_it_is(named: str) -> None:
    """The pattern, or the type of step, stands in the message, and its field in the path."""
    field, match = DEAD[named]
    problem = only_problem(rules=[rule(match=match, deny="no")])
    assert (problem.code, problem.path) == ("dead_pattern", f"rules[0].match.{field}")
    assert repr(named) in problem.message
    assert problem.fix


def test_all_that_a_denial_has_no_use_for_is_named() -> None:
    """Each field that would do nothing is told, so that one edit mends the rule."""
    extras = {"roles": ["a"], "assurance": "key", "expires_after": "4h"}
    problem = only_problem(rules=[rule(deny="no", **extras)])
    assert problem.message.endswith("no use for `roles`, `assurance`, `expires_after`")


def test_a_step_type_with_the_wrong_kind_of_match_is_told_which() -> None:
    """The message names what such a step lacks."""
    for named in ("analyze", "edit_file"):
        field, match = DEAD[named]
        assert f"names no {field}," in only_problem(rules=[rule(match=match, deny="no")]).message


def test_what_makes_a_pattern_of_commands_unmatchable_is_named() -> None:
    """Each character that no pattern may have is told, in order."""
    problem = only_problem(rules=[rule(match={"command": "make; x | y"}, deny="no")])
    assert problem.message == "'make; x | y' has ; |, and a pattern is plain words"


def test_an_example_of_a_path_is_not_read_as_a_command() -> None:
    """What a shell could not read may well be a path."""
    wrong = rule(match={"path": "docs/**"}, deny="no", examples={"match": ["src/(a)"]})
    said = only_problem(rules=[wrong]).message
    assert said == "'src/(a)' does not match, but stands under `match`"


def test_a_rule_may_be_about_a_plugins_step_where_plugins_are_listed() -> None:
    """Which types a plugin brings is not known here, so any may be; without one none is."""
    assert found(rules=[DEPLOY]) == [("unknown_step_type", "rules[0].match.step_type")]
    assert read({**HEAD, "rules": [DEPLOY], "plugins": ["extra"]}).policy.rules[0].deny


def test_a_default_is_for_a_type_that_steps_can_have() -> None:
    """A misspelt type in `defaults` would leave the built-in default in force, unseen."""
    wrong = {"edit_file": 2, "edit_fle": 2}
    assert found(defaults=wrong) == [("unknown_step_type", "defaults.edit_fle")]
    assert read({**HEAD, "defaults": wrong, "plugins": ["extra"]}).policy.defaults == wrong


def test_a_person_of_a_wrong_form_hides_no_doubled_one() -> None:
    """All who follow are checked too."""
    value = {"people": [{"principal": ["x"]}, ADA, ADA]}
    assert [at for _, at, *_ in policy_checks.cross_checks(value)] == ["people[2].principal"]


def test_a_policy_that_is_none_is_told_by_its_file() -> None:
    """Problems of the form name the file as problems between fields do."""
    problem = only_problem(self_approval="yes")
    assert (problem.code, problem.file) == ("schema", "plans/policy.yaml")
