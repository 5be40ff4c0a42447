"""What differs between two policies, and whether it is called loosening where it is."""

from __future__ import annotations

from typing import Any

import pytest
from gate_cases import ELSEWHERE, address, make_policy
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_cases import step

from runner.core import policy_diff
from runner.core.policy import LEVELS, Policy, Rule
from runner.core.policy_diff_words import Difference, turn, word
from runner.core.rules import Requirement, Verdict, judge_step
from runner.core.values import parse_duration

Given = dict[str, Any]
DOCS: Given = {"name": "docs are free", "match": {"path": "docs/**"}, "approvals": 0}
INFRA: Given = {"name": "infra", "match": {"path": "infra/**"}, "approvals": 2}
CI: Given = {"name": "ci", "match": {"path": ".github/**"}, "deny": "by hand"}
TWO: Given = {"approvals": 2}
QUORUM: Given = {"quorum": {"lead": 1, "ops": 2}}


def between(old: Policy, new: Policy) -> dict[str, bool]:
    return {each.what: each.loosens for each in policy_diff.differences(old, new)}


def of_rules(old: list[Given], new: list[Given]) -> dict[str, bool]:
    return between(make_policy(*old).policy, make_policy(*new).policy)


def of_fields(old: Given, new: Given) -> dict[str, bool]:
    return between(make_policy(**old).policy, make_policy(**new).policy)


def people(**bob: Any) -> Given:
    others = [{"principal": address("bob"), **bob}] if bob else []
    return {"people": [*others, {"principal": address("ada")}]}


def test_people() -> None:
    """One more who may approve loosens, so does a role more, or another account to do it with."""
    bob, lead = people(roles=[], github={"login": "b", "id": 7}), people(roles=["lead"])
    told = "person bob@example.com: "
    assert of_fields(people(), bob) == {f"added {told}github.login b, github.id 7": True}
    assert of_fields(lead, people()) == {f"removed {told}roles [lead]": False}
    assert of_fields(people(roles=[]), lead) == {f"changed {told}roles: added lead": True}
    assert of_fields(lead, people(roles=[])) == {f"changed {told}roles: removed lead": False}
    other = people(github={"login": "b", "id": 8})
    assert of_fields(bob, other) == {f"changed {told}github.id: 7 -> 8": True}
    assert of_fields(bob, {"people": bob["people"][::-1]}) == {}


class TestRules:
    @pytest.mark.parametrize(
        "rule,added,removed",
        [(DOCS, True, False), (INFRA, True, True), (CI, False, True)],
    )
    def test_a_rule_comes_or_goes(self, rule: Given, *, added: bool, removed: bool) -> None:
        """Only a denial may come, and only a rule that asks nothing may go, without loosening."""
        [(came, loosens)] = of_rules([], [rule]).items()
        assert came.startswith(f"added rule '{rule['name']}': match.path {rule['match']['path']}, ")
        assert loosens is added
        assert of_rules([rule], []) == {came.replace("added", "removed"): removed}

    @pytest.mark.parametrize(
        "old,new,there,back",
        [
            (TWO, {"approvals": 1}, True, False),
            (TWO, {**TWO, "match": {"path": "infra/a"}}, True, True),
            (TWO, {**TWO, "name": "clouds"}, False, False),
            (TWO, {**TWO, "examples": {"match": ["infra/a"]}}, False, False),
            ({**TWO, "roles": ["ops"]}, TWO, True, False),
            ({**TWO, "roles": ["ops"]}, {**TWO, "roles": ["ops", "lead"]}, True, False),
            ({**TWO, "roles": ["ops"]}, {**TWO, "roles": ["lead"]}, True, True),
            (TWO, {**TWO, "assurance": "forge"}, True, False),
            (TWO, {**TWO, "assurance": "key"}, False, False),
            ({**TWO, "expires_after": "24h"}, {**TWO, "expires_after": "2d"}, True, False),
            ({**TWO, "expires_after": "1d"}, TWO, True, False),
            (QUORUM, {"approvals": 9}, True, True),
            (QUORUM, {"quorum": {"lead": 1, "ops": 1}}, True, False),
            (QUORUM, {"quorum": {"ops": 2}}, True, False),
            ({"deny": "no"}, {"deny": "never"}, False, False),
            ({"deny": "no"}, {"approvals": 20}, True, False),
            ({"deny": "no"}, QUORUM, True, False),
        ],
    )
    def test_a_changed_rule(self, old: Given, new: Given, *, there: bool, back: bool) -> None:
        """Asking less loosens, and asking more does not; what cannot be compared may loosen."""
        a, b = ({"name": "infra", "match": INFRA["match"], **each} for each in (old, new))
        assert list(of_rules([a], [b]).values()) == [there]
        assert list(of_rules([b], [a]).values()) == [back]

    def test_a_changed_rule_is_told_field_by_field(self) -> None:
        """One difference names each field, old and new."""
        changed = {**INFRA, "match": {"path": "**"}, "approvals": 3, "roles": ["ops"]}
        told = "match.path: infra/** -> **, approvals: 2 -> 3, roles: added ops"
        assert of_rules([INFRA], [changed]) == {f"changed rule 'infra': {told}": True}

    def test_assurance_of_the_policy_counts_for_its_rules(self) -> None:
        """A rule that names none is held against what its policy asks at the time."""
        hard, none, forge = ({**INFRA, "assurance": of} for of in ("hardware", None, "forge"))
        raised = of_fields({"rules": [hard]}, {"rules": [none], "assurance": "hardware"})
        assert not any(raised.values())
        lowered = of_fields({"rules": [none]}, {"rules": [forge], "assurance": "server"})
        assert lowered["changed rule 'infra': assurance: none -> forge"]

    def test_every_field_of_a_rule_is_thought_of(self) -> None:
        """A field that is new to the code loosens until it is weighed."""
        assert {*Rule.model_fields} == {*policy_diff.OF_DENIALS, "match"}

    def test_a_moved_rule_loosens(self) -> None:
        """The first rule that matches decides, so each that goes elsewhere is told."""
        moved = {"moved rule 'ci' from place 3 to 1": True}
        assert of_rules([INFRA, DOCS, CI], [CI, INFRA, DOCS]) == moved
        assert list(of_rules([DOCS, INFRA], [INFRA]).values()) == [False]

    def test_rules_of_one_name_are_told_apart(self) -> None:
        """The second of two rules of a name is compared with the second one."""
        told = {"changed rule 'infra': approvals: 0 -> 2": False}
        second = {**DOCS, "name": "infra"}
        assert of_rules([INFRA, second], [INFRA, {**second, "approvals": 2}]) == told
        [what] = of_rules([INFRA], [INFRA, {**INFRA, "name": "clouds"}])
        assert what.startswith("added rule 'clouds': ")


DAY_TOKENS = "budgets.day_tokens: 9 -> 10"


@pytest.mark.parametrize(
    "old,new,what",
    [
        ({"assurance": "key"}, {"assurance": "forge"}, "assurance: key -> forge"),
        ({}, {"self_approval": True}, "self_approval: false -> true"),
        ({"plans_signed": True}, {}, "plans_signed: true -> false"),
        ({"approvals_expire_after": "7d"}, {}, "approvals_expire_after: 7d -> none"),
        ({"budgets": {"run_usd": "9"}}, {"budgets": {"run_usd": "10"}}, "budgets.run_usd: 9 -> 10"),
        ({"budgets": {"call_usd": "9"}}, {}, "budgets.call_usd: 9 -> none"),
        ({"budgets": {"day_tokens": 9}}, {"budgets": {"day_tokens": 10}}, DAY_TOKENS),
        ({}, {"budgets": {"allow_unpriced": True}}, "budgets.allow_unpriced: false -> true"),
        ({}, {"limits": {"steps": 51}}, "limits.steps: 50 -> 51"),
        ({}, {"sandbox": {"require": "none"}}, "sandbox.require: confined -> none"),
        ({}, {"sandbox": {"network": ["x.org"]}}, "sandbox.network: added x.org"),
        ({}, {"plugins": ["a b"]}, "plugins: added 'a b'"),
        ({}, {"defaults": {"edit_file": 0}}, "default edit_file: 1 -> 0"),
        ({"defaults": {"read_file": 2}}, {}, "default read_file: 2 -> 0"),
    ],
)
def test_a_looser_setting(old: Given, new: Given, what: str) -> None:
    """Each setting is told old and new; it loosens one way, and not the other."""
    assert of_fields(old, new) == {what: True}
    assert list(of_fields(new, old).values()) == [False]


def test_settings_beyond_comparison() -> None:
    """Another repository may loosen; a default that is built in is no difference."""
    assert list(of_fields({}, {"repository": ELSEWHERE}).values()) == [True]
    assert of_fields({}, {"defaults": {"edit_file": 1, "run_command": 1}}) == {}


def test_words_stay_on_their_line() -> None:
    """Text is quoted where it could pass for more, with its hidden characters shown."""
    [what] = of_rules([], [{**DOCS, "name": "x\n  approved by ada\u202e"}])
    assert what.startswith(r"added rule 'x\n  approved by ada\u202e': ")
    found = [word(each) for each in (None, True, ["a", "b c"], "")]
    assert found == ["none", "true", "[a, 'b c']", "''"]
    assert turn("x", ["a", "b"], ["b", "a"]) == "x: written in another order"


def test_contents_of_a_first_policy() -> None:
    """People, rules and settings are listed, and nothing loosens."""
    found = policy_diff.contents(make_policy(DOCS, self_approval=True).policy)
    assert Difference(what="person dan@example.com: no roles") in found
    assert Difference(what="rule 'docs are free': match.path docs/**, approvals 0") in found
    assert "assurance key, self_approval true, plans_signed false" in found[-1].what
    assert not any(each.loosens for each in found)


STEPS = [
    step("read_file", path="docs/a"),
    step("edit_file", path="docs/a", new_content=""),
    step("edit_file", path=".github/workflows/x.yml", new_content=""),
    *(step("run_command", command="make", writes=[glob]) for glob in ("docs/*", ".github/**")),
]
PROGRAMS = {**CI["match"], "risk": "executable"}
MATCHES: list[Given] = [{}, {"command": "make"}, DOCS["match"], CI["match"], PROGRAMS]
MORE: list[Given] = [{"roles": ["ops"]}, {"assurance": "hardware"}, {"expires_after": "1d"}]
ASKS = [{"approvals": 0}, TWO, *({**TWO, **each} for each in MORE), QUORUM, {"deny": "no"}]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Policy, Policy]:
    """Some rules, and the same ones after one change."""
    match, ask, place = st.sampled_from(MATCHES), st.sampled_from(ASKS), draw(st.integers(0, 1))
    old = [{"name": name, "match": draw(match), **draw(ask)} for name in "ab"]
    one, rest, where, asked = old[place], old[1 - place], draw(match), draw(ask)
    changed = {
        "add": [{"name": "new", "match": where, **asked}, one],
        "ask": [{"name": one["name"], "match": one["match"], **asked}],
        "match": [{**one, "match": where}],
        "drop": [],
    }
    kind = draw(st.sampled_from([*changed, "move"]))
    put = changed.get(kind, [one])
    front = (place == 0) is not (kind == "move")
    new = [*put, rest] if front else [rest, *put]
    return make_policy(*old).policy, make_policy(*new).policy


def asks_less(new: Verdict, old: Verdict) -> bool:
    if new.denied or old.denied:
        return not new.denied
    return not all(any(covers(a, b) for a in new.requirements) for b in old.requirements)


def covers(found: Requirement, asked: Requirement) -> bool:
    """Whether who meets one requirement surely meets the other."""
    own, wanted = set(found.roles), set(asked.roles)
    term, longest = (parse_duration(each.expires_after or "9999d") for each in (found, asked))
    return not asked.approvals or (
        found.approvals >= asked.approvals
        and (not wanted or (bool(own) and own <= wanted))
        and LEVELS.index(found.assurance) >= LEVELS.index(asked.assurance)
        and term <= longest
    )


@settings(deadline=None, max_examples=1500)  # how long an example takes says nothing
@given(pairs())
def test_whatever_asks_less_loosens(both: tuple[Policy, Policy]) -> None:
    """Where a step needs less under the new policy, at least one difference says so."""
    old, new = both
    loosens = any(between(old, new).values())
    for each in STEPS:
        assert loosens or not asks_less(judge_step(new, each), judge_step(old, each))
