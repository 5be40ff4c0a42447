"""What differs between two policies, in words, and whether more may pass than before.

It errs to yes, so that an auditor looks once too often rather than once too seldom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Any

from runner.core.policy import CONFINEMENTS, LEVELS, Person, Policy, Rule
from runner.core.policy_diff_words import Difference, described, quoted, turn, turned
from runner.core.rules import DEFAULTS
from runner.core.values import parse_duration

__all__ = ["Difference", "contents", "differences"]

Judge = Callable[[Any, Any], bool]


def differences(old: Policy, new: Policy) -> tuple[Difference, ...]:
    """People, rules, defaults, then settings; empty where both say the same."""
    parts = (_people, _rules, _defaults, _settings)
    return tuple(each for part in parts for each in part(old, new))


def contents(policy: Policy) -> tuple[Difference, ...]:
    """The same words about a policy that has none before it: nothing there loosens."""
    rest = _body(policy, "version", "repository", "people", "rules")
    lines = [*map(_person, policy.people), *map(_rule, policy.rules), described(rest)]
    return tuple(Difference(what=line) for line in lines)


def _people(old: Policy, new: Policy) -> Iterator[Difference]:
    for person in new.people:
        before = old.person(person.principal)
        if before is None:
            yield Difference(what=f"added {_person(person)}", loosens=True)
        else:
            about = f"changed person {person.principal}: "
            yield from _turns(OF_PEOPLE, _body(before), _body(person), about=about)
    for person in old.people:
        if new.person(person.principal) is None:
            yield Difference(what=f"removed {_person(person)}")


def _person(person: Person) -> str:
    return f"person {person.principal}: {described(_body(person, 'principal')) or 'no roles'}"


def _rules(old: Policy, new: Policy) -> Iterator[Difference]:
    """Added and changed ones, removed ones, then those at another place among the others."""
    places = _places(old.rules, new.rules)
    for place, rule in enumerate(new.rules):
        if place in places:
            yield from _changed(old, new, old.rules[places[place]], rule)
        else:
            yield Difference(what=f"added {_rule(rule)}", loosens=rule.deny is None)
    for place, rule in enumerate(old.rules):
        if place not in places.values():
            yield Difference(what=f"removed {_rule(rule)}", loosens=rule.approvals != 0)
    yield from _moved(new.rules, places)


def _rule(rule: Rule) -> str:
    return f"rule {quoted(rule.name)}: {described(_body(rule, 'name', 'examples'))}"


def _places(old: Sequence[Rule], new: Sequence[Rule]) -> dict[int, int]:
    """Give rules of the new policy their old place, by name, or by all but the name."""
    found: dict[int, int] = {}
    for fields in ({"name"}, {*Rule.model_fields} - {"name"}):
        free: dict[str, list[int]] = {}
        for place, rule in enumerate(old):
            if place not in found.values():
                free.setdefault(rule.model_dump_json(include=fields), []).append(place)
        for place, rule in enumerate(new):
            if place not in found and (same := free.get(rule.model_dump_json(include=fields))):
                found[place] = same.pop(0)
    return found


def _changed(old: Policy, new: Policy, before: Rule, after: Rule) -> Iterator[Difference]:
    def weaker(a: Any, b: Any) -> bool:
        return _weaker(a or old.assurance, b or new.assurance)

    judges = OF_DENIALS if after.deny is not None else {**OF_RULES, "assurance": weaker}
    found = list(turned(_body(before), _body(after)))
    if found:
        turns = ", ".join(turn(*each) for each in found)
        loosens = any(_judged(judges, *each) for each in found)
        yield Difference(what=f"changed rule {quoted(before.name)}: {turns}", loosens=loosens)


def _moved(rules: Sequence[Rule], places: Mapping[int, int]) -> Iterator[Difference]:
    after = [places[place] for place in sorted(places)]
    blocks = SequenceMatcher(None, sorted(after), after, autojunk=False).get_matching_blocks()
    kept = {place for block in blocks for place in after[block.b : block.b + block.size]}
    for now, was in sorted(places.items()):
        if was not in kept:
            what = f"moved rule {quoted(rules[now].name)} from place {was + 1} to {now + 1}"
            yield Difference(what=what, loosens=True)


def _defaults(old: Policy, new: Policy) -> Iterator[Difference]:
    for name in dict.fromkeys([*old.defaults, *new.defaults]):
        built_in = DEFAULTS.get(name, 1)
        a, b = old.defaults.get(name, built_in), new.defaults.get(name, built_in)
        if a != b:
            yield Difference(what=turn(f"default {name}", a, b), loosens=b < a)


def _settings(old: Policy, new: Policy) -> Iterator[Difference]:
    before, after = (_body(each, "people", "rules", "defaults") for each in (old, new))
    yield from _turns(OF_SETTINGS, before, after)


def _body(item: Person | Rule | Policy, *leaving_out: str) -> dict[str, Any]:
    return item.model_dump(mode="json", exclude={*leaving_out})


def _turns(
    judges: Mapping[str, Judge], old: Mapping[str, Any], new: Mapping[str, Any], *, about: str = ""
) -> Iterator[Difference]:
    for name, a, b in turned(old, new):
        yield Difference(what=about + turn(name, a, b), loosens=_judged(judges, name, a, b))


def _judged(judges: Mapping[str, Judge], name: str, old: Any, new: Any) -> bool:
    """Ask the judge of the dotted name or of what it belongs to; what none knows may loosen."""
    while name not in judges and "." in name:
        name = name.rpartition(".")[0]
    return name not in judges or judges[name](old, new)


def _harmless(_old: Any, _new: Any) -> bool:
    return False


def _unless(safe: Any) -> Judge:
    return lambda _old, new: bool(new != safe)


def _fewer(old: int | None, new: int | None) -> bool:
    return new is None or (old is not None and new < old)


def _not_narrowed(old: list[str], new: list[str]) -> bool:
    """Whether others may approve than those of the old roles; no roles are everybody."""
    return bool(old) and not (new and set(new) <= set(old))


def _weaker(old: Any, new: Any) -> bool:
    return LEVELS.index(new) < LEVELS.index(old)


def _less_confined(old: Any, new: Any) -> bool:
    return CONFINEMENTS.index(new) > CONFINEMENTS.index(old)


def _beyond(read: Callable[[Any], Any]) -> Judge:
    """Judge a bound or a term: a higher one loosens, and so does none."""
    return lambda old, new: new is None or (old is not None and bool(read(new) > read(old)))


def _wider(old: list[str] | None, new: list[str] | None) -> bool:
    return not set(old or ()).issuperset(new or ())


OF_PEOPLE: Mapping[str, Judge] = {"roles": _wider, "github": _unless(None)}
# Not here, so that they may loosen: another `match`, and a `deny` that ends.
OF_RULES: Mapping[str, Judge] = {
    "name": _harmless,
    "examples": _harmless,
    "approvals": _fewer,
    "quorum": _fewer,
    "roles": _not_narrowed,
    "assurance": _weaker,
    "expires_after": _beyond(parse_duration),
}
# Where a rule denies, nothing else that it says counts.
OF_DENIALS: Mapping[str, Judge] = dict.fromkeys((*OF_RULES, "deny"), _harmless)
# Approvals count for one id of a repository, and those of a new one are not known here.
OF_SETTINGS: Mapping[str, Judge] = {
    "version": _harmless,
    "assurance": _weaker,
    "self_approval": _unless(safe=False),
    "plans_signed": _unless(safe=True),
    "approvals_expire_after": _beyond(parse_duration),
    "forge.plain_reviews": _unless(safe=False),
    "forge.code_owners": _unless(safe=True),
    **dict.fromkeys(
        [f"budgets.{scope}_usd" for scope in ("call", "step", "run", "day", "project")],
        _beyond(Decimal),
    ),
    **dict.fromkeys(("budgets.run_tokens", "budgets.day_tokens"), _beyond(int)),
    "budgets.allow_unpriced": _unless(safe=False),
    **dict.fromkeys(("limits.steps", "limits.changed_files", "limits.changed_bytes"), _beyond(int)),
    "sandbox.require": _less_confined,
    **dict.fromkeys(("sandbox.network", "sandbox.tools", "sandbox.secrets", "plugins"), _wider),
}
