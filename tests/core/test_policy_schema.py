from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from runner import schemas
from runner.core import documents, policy, policy_checks
from runner.core.errors import InvalidDocument
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


@pytest.mark.parametrize("extra", [{"roles": ["maintainer"]}, {"assurance": "key"}])
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
        {"sandbox": {**sample["sandbox"], "network": ["*"]}},
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
