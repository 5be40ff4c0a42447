"""`policy test` and `policy explain`: what the rules say, and which of them decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from runner.core import command_line, gate, globs, paths, risks
from runner.core.demands import Demand, Keys, candidates, demands, summary
from runner.core.errors import Reason, UsageError, WorkspaceSecurityError
from runner.core.plan import PlanFile, RunCommandInput, Step, typed_input, undo_step
from runner.core.policy import Policy, PolicyFile, Rule
from runner.core.policy_checks import decides, example_hit
from runner.core.policy_warnings import Caution, warnings
from runner.core.risks import Risk
from runner.core.rules import (
    THE_COMMAND,
    THE_UNDO,
    Ruling,
    judge_step,
    requirements,
    rulings,
)
from runner.core.text import visible
from runner.project import Project
from runner.verbs import evidence, policy_files, show

# What `explain` tells in other words, or what approvals mend, which nobody has been asked for yet.
_TOLD = frozenset({"policy_denied", "approvals_missing"})


@dataclass(frozen=True, kw_only=True)
class Example:
    """An example of a rule, under `match` or `no_match`, and how the rule's pattern meets it.

    It holds, since a policy whose examples do not hold is invalid.
    """

    wanted: str
    text: str
    hit: str
    decided: bool


@dataclass(frozen=True, kw_only=True)
class RuleTested:
    name: str
    asks: str
    examples: tuple[Example, ...]


@dataclass(frozen=True, kw_only=True)
class Ruled:
    """What one rule says about a subject: its effect, and what it asks or why it denies."""

    rule: str
    effect: str
    sure: bool
    asks: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What rules were held against; `note` says why they are in doubt about a command."""

    about: str
    note: str
    rulings: tuple[Ruled, ...]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What one rule asks of the step, and who could still meet it; `short` where too few could."""

    rule: str
    text: str
    assurance: str
    expires_after: str
    could: tuple[str, ...]
    short: str


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A step under the rules; `refusals` are what no approval would mend, apart from denials."""

    number: int
    id: str
    step_type: str
    risks: tuple[Risk, ...]
    subjects: tuple[Subject, ...]
    asked: tuple[Asked, ...]
    denied: tuple[str, ...]
    refusals: tuple[Reason, ...]
    verdict: str


@dataclass(frozen=True, kw_only=True)
class PolicyTested:
    """`tried` are the commands and changes that were asked about."""

    file: str
    rules: tuple[RuleTested, ...]
    warnings: tuple[Caution, ...]
    tried: tuple[Explained, ...]


@dataclass(frozen=True, kw_only=True)
class PlanExplained:
    """`excluded` are people who may not approve the plan, `refusals` hold for every step."""

    plan: str
    source: str
    policy: str
    excluded: Mapping[str, str]
    refusals: tuple[Reason, ...]
    steps: tuple[Explained, ...]


@dataclass(frozen=True, kw_only=True)
class _Under:
    """What steps are explained under."""

    policy: Policy
    keys: Keys
    excluded: Mapping[str, str]


def test(
    project: Project,
    file: Path | None,
    *,
    commands: Sequence[str],
    changes: Sequence[str],
) -> PolicyTested:
    """Check a policy of the work tree with its examples; raises InvalidDocument."""
    path = file or policy_files.default(project)
    policy = policy_files.read(path).policy
    keys = policy_files.keys_beside(path, policy.people, at=project.world.now())
    under = _Under(policy=policy, keys=keys, excluded={})
    tried = (*map(_command, commands), *map(_change, changes))
    return PolicyTested(
        file=str(path),
        rules=tuple(_rule_tested(policy, rule) for rule in policy.rules),
        warnings=warnings(policy, keys),
        tried=tuple(_explained(under, number, step) for number, step in enumerate(tried)),
    )


def explain(project: Project, name: str, file: Path | None = None) -> PlanExplained:
    """Say for each step of a plan which rules met it; of a policy file as if it counted."""
    found, source = show.find(project, name)
    policy_file, keys, told = _authority(project, file)
    question = _question(project, found, policy_file, name=name)
    steps = found.plan.steps
    refusals = [_refusals(replace(question, step=number)) for number in range(len(steps))]
    everywhere = [each for each in refusals[0] if all(each in others for others in refusals)]
    excluded = gate.excluded(question)
    under = _Under(policy=policy_file.policy, keys=keys, excluded=excluded)
    return PlanExplained(
        plan=found.plan.id,
        source=source,
        policy=told,
        excluded={visible(who): reason for who, reason in excluded.items()},
        refusals=tuple(everywhere),
        steps=tuple(
            _explained(
                under,
                number,
                step,
                refusals=[each for each in refusals[number] if each not in everywhere],
            )
            for number, step in enumerate(steps)
        ),
    )


def _authority(project: Project, file: Path | None) -> tuple[PolicyFile, Keys, str]:
    """The policy that counts, or one of the work tree; what keys its people have; its place."""
    now = project.world.now()
    if file is None:
        authority = project.authority()
        keys = policy_files.keys_of(authority.signers, authority.policy.people, at=now)
        return authority.policy_file, keys, str(authority)
    policy_file = policy_files.read(file)
    keys = policy_files.keys_beside(file, policy_file.policy.people, at=now)
    return policy_file, keys, f"{visible(str(file))}, as if it were trusted"


def _question(
    project: Project, found: PlanFile, policy_file: PolicyFile, *, name: str
) -> gate.Question:
    """What the gate would be asked; of a plan in a file only author and prompter are known."""
    now = project.world.now()
    provenance = gate.Provenance()
    if not show.is_path(name):
        plan = evidence.find_plan(project, name)
        provenance = evidence.provenance_of(project, plan, project.authority(), now)
    return gate.Question(
        plan=found,
        step=0,
        policy=policy_file,
        votes=(),
        provenance=provenance,
        so_far=gate.SoFar(),
        now=now,
    )


def _refusals(question: gate.Question) -> list[Reason]:
    return [each for each in gate.decide(question).reasons if each.code not in _TOLD]


def _command(text: str) -> Step:
    step = _step("run_command", text, {"command": text})
    if typed_input(step) is None:
        raise UsageError("--command takes a command line of 1 to 20,000 characters")
    return step


def _change(path: str) -> Step:
    try:
        paths.check_path(globs.WILD.sub("x", path))
    except WorkspaceSecurityError as error:
        raise UsageError(
            f"--path {path!r} {error.reason}", hint="write it like src/a.py"
        ) from error
    return _step("edit_file", path, {"path": path, "new_content": ""})


def _step(step_type: str, text: str, given: Mapping[str, str]) -> Step:
    # its id is a text of the caller's, which no plan would have
    return Step.model_construct(id=text, step_type=step_type, description=text, input=dict(given))


def _rule_tested(policy: Policy, rule: Rule) -> RuleTested:
    asks = "; ".join(each.text for each in demands(requirements(policy, rule)))
    return RuleTested(
        name=visible(rule.name),
        asks=asks if rule.deny is None else f"denied: {visible(rule.deny)}",
        examples=tuple(_examples(rule)),
    )


def _examples(rule: Rule) -> Iterator[Example]:
    match = rule.match.model_dump()
    for wanted, texts in (("match", rule.examples.match), ("no_match", rule.examples.no_match)):
        for text in texts:
            hit = example_hit(match, text)
            if hit is not None:
                decided = decides(hit, denies=rule.deny is not None)
                yield Example(wanted=wanted, text=visible(text), hit=hit.value, decided=decided)


def _explained(
    under: _Under, number: int, step: Step, *, refusals: Sequence[Reason] = ()
) -> Explained:
    verdict = judge_step(under.policy, step)
    return Explained(
        number=number + 1,
        id=visible(step.id),
        step_type=step.step_type,
        risks=risks.of(step),
        subjects=tuple(_subjects(step, rulings(under.policy, step))),
        asked=tuple(_asked(under, each) for each in demands(verdict.requirements) if each.asks),
        denied=tuple(map(visible, verdict.denied)),
        refusals=tuple(refusals),
        verdict=summary(verdict),
    )


def _subjects(step: Step, found: Sequence[Ruling]) -> Iterator[Subject]:
    for about, group in groupby(found, key=lambda each: each.about):
        rulings_ = tuple(map(_ruled, group))
        note = "" if all(each.sure for each in rulings_) else _doubt(step, about)
        yield Subject(about=about, note=note, rulings=rulings_)


def _doubt(step: Step, about: str) -> str:
    """Say why some rule is in doubt."""
    judged = {THE_COMMAND: step, THE_UNDO: undo_step(step)}.get(about)
    given = typed_input(judged) if judged else None
    if not isinstance(given, RunCommandInput):
        return "in doubt: the rule's path covers a part of it, or differs in upper and lower case"
    line = command_line.read(given.command, variables=given.env)
    own = (
        ("variables", given.env),
        ("secrets", given.secrets),
        ("a folder", given.working_dir != "."),
        ("a network", given.network),
    )
    names = [name for name, differs in own if differs]
    if line.trouble:
        return f"in doubt: {visible(line.trouble)}, so it may run anything"
    if not line.plain:
        return "in doubt: it has more than plain words"
    if names:
        return f"in doubt: it runs with {' and '.join(names)} of its own"
    if len(line.commands) > 1:
        return f"in doubt: a pattern must match all of its {len(line.commands)} commands"
    return "in doubt: it may start other commands, or lies in a folder"


def _ruled(ruling: Ruling) -> Ruled:
    asks = "; ".join(each.text for each in demands(ruling.requirements))
    why = visible(ruling.denied.removeprefix(f"rule {ruling.rule!r}: "))
    return Ruled(
        rule=visible(ruling.rule), effect=ruling.effect, sure=ruling.sure, asks=why or asks
    )


def _asked(under: _Under, demand: Demand) -> Asked:
    found = candidates(demand, under.policy.people, barred=under.excluded, keys=under.keys)
    return Asked(
        rule=visible(demand.rule),
        text=demand.text,
        assurance=demand.assurance,
        expires_after=demand.expires_after,
        could=found.people,
        short=found.short,
    )
