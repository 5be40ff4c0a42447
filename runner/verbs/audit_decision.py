"""Ask the gate again: was each recorded step allowed, by what the record says it relied on?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from runner.core import gate, globs, undoing
from runner.core.approval import CLOCK_SKEW, Vote
from runner.core.errors import StepFailed
from runner.core.gate import Answer, Decision, Provenance, Question
from runner.core.plan import EditFileInput, RunCommandInput, Step, typed_input
from runner.core.record import Change, Record, RecordedGate
from runner.core.run import RunFile, digest_bytes
from runner.core.values import parse_time, usd
from runner.project import Authority
from runner.steps import edit_file
from runner.verbs import audit_drafts
from runner.verbs.audit_authority import Authorities
from runner.verbs.audit_of_plan import OfPlan, Reach, UsedBefore
from runner.verbs.audit_past import Past
from runner.verbs.audit_shape import Link, Walk
from runner.verbs.evidence import PlanAt

READS_ONLY = frozenset({"read_file", "analyze", "summarize"})


def _decide(record: Record, question: Question) -> Decision:
    if record.kind == "undo":
        return undoing.decide(question)
    return gate.decide_draft(question) if record.drafted else gate.decide(question)


@dataclass(kw_only=True)
class Judge:
    """Goes along one run; `authority` and `plan_tip` are the last that a record relied on."""

    walk: Walk
    authorities: Authorities
    of_plan: OfPlan
    used: UsedBefore
    reach: Reach
    authority: str
    plan_tip: str

    @classmethod
    def of(cls, walk: Walk, authorities: Authorities, of_plan: OfPlan) -> Judge:
        header = walk.run.header
        judge = cls(
            walk=walk,
            authorities=authorities,
            of_plan=of_plan,
            used=of_plan.books.before(header),
            reach=of_plan.reach(header.base),
            authority=header.authority,
            plan_tip=header.plan_tip,
        )
        judge.reach.add(header.plan_tip, header.authority)
        with walk.past.found.reading(f"{walk.name} run.yaml"):
            authorities.at(header.authority, f"{walk.name} run.yaml")
        return judge

    @property
    def past(self) -> Past:
        return self.walk.past

    def check_link(self, link: Link, before: RunFile) -> None:
        """Check one record, where it is about a step, against the run as it was before it."""
        with self.past.found.reading(f"{self.walk.name} {link.file.name}"):
            self.reach.follow(link.before)
            if link.record.about is not None:
                self._step(link, before)

    def _step(self, link: Link, before: RunFile) -> None:
        plan = self.walk.plan_before(link)
        about = link.record.about
        number = plan.file.index(about) if plan and about else None
        relied = self._relied_on(link)
        if plan is None or number is None or relied is None:
            return
        authority = self.authorities.at(relied.authority, f"{self.walk.name} {link.file.name}")
        if authority is None:
            return
        self._check_forward(link, relied)
        question = self._question(link, before, plan=plan, number=number, authority=authority)
        decision = _decide(link.record, question)
        self._compare(link, relied, question, decision)
        self._check_effect(link, question, decision)

    def _relied_on(self, link: Link) -> RecordedGate | None:
        """What the record says that the gate decided on."""
        if link.record.gate is None:
            self.walk.add("not_allowed", link.file.name, "it names no decision of the gate")
        return link.record.gate

    def _check_forward(self, link: Link, relied: RecordedGate) -> None:
        graph = self.past.graph
        if not graph.descends(relied.authority, self.authority):
            message = f"{relied.authority[:12]} was used after {self.authority[:12]}"
            self.walk.add("authority_backwards", link.file.name, message)
        self.authority = relied.authority
        if relied.plan_tip not in graph:
            self._plan_tip_gone(link, relied.plan_tip)
            return
        if not graph.descends(relied.plan_tip, self.plan_tip):
            message = f"{relied.plan_tip[:12]} was used after {self.plan_tip[:12]}"
            self.walk.add("plan_backwards", link.file.name, message)
        self.plan_tip = relied.plan_tip
        self.reach.add(relied.plan_tip, relied.authority)

    def _plan_tip_gone(self, link: Link, tip: str) -> None:
        """The plan branch was deleted after a merge, or rewritten: only the first is in order."""
        self.reach.add_alone(link.commit.oid)
        if self.walk.run.header.plan in self.past.plan_tips:
            self.walk.add("plan_rewritten", link.file.name, f"plan commit {tip[:12]} is gone")
            return
        text = (
            f"relied on plan commit {tip[:12]} of a deleted branch; its approvals are copied here"
        )
        self.past.found.note(f"{self.walk.name} {link.file.name} {text}")

    def _question(
        self, link: Link, before: RunFile, *, plan: PlanAt, number: int, authority: Authority
    ) -> Question:
        header, now = self.walk.run.header, parse_time(link.record.started_at)
        return Question(
            plan=plan.file,
            step=number,
            policy=authority.policy_file,
            votes=self.walk.ballots.votes(header.plan, self.reach.brought, authority, now),
            provenance=self._provenance(link, plan, authority, before),
            so_far=self.used.so_far(before, now),
            now=now,
        )

    def _provenance(
        self, link: Link, plan: PlanAt, authority: Authority, before: RunFile
    ) -> Provenance:
        """As git tells it of the plan's branch then; keys count as of the step."""
        now = parse_time(link.record.started_at)
        on_branch = self.plan_tip != authority.commit
        there = self.of_plan.plan_at(self.plan_tip, on_branch=on_branch)
        gone = link.record.gate is not None and link.record.gate.plan_tip not in self.past.graph
        if not gone and (there is None or not audit_drafts.explains(there, plan, before)):
            message = f"the plan in {self.plan_tip[:12]} is not the one that ran"
            self.walk.add("digest_differs", link.file.name, message)
        made = self.of_plan.provenance(there or plan, authority, now)
        desk = self.walk.run.header.desk
        return replace(made, named=made.named.union(desk.makers)) if desk else made

    def _compare(
        self, link: Link, relied: RecordedGate, question: Question, decision: Decision
    ) -> None:
        if link.record.kind == "skip" and link.record.asked_by:
            return  # nobody's approval lets a step be left out; the later ones must name it
        wanted = Answer.REJECTED if link.record.kind == "skip" else Answer.ALLOWED
        where = link.file.name
        for reason in decision.reasons if decision.answer is not wanted else ():
            code = reason.code if reason.code == "plan_unsigned" else "not_allowed"
            self.walk.add(code, where, f"{reason.code}: {reason.message}")
        if decision.allowed and wanted is Answer.REJECTED:
            self.walk.add("not_allowed", where, "the step was skipped, but nobody rejected it")
        counted = {vote.digest: vote for vote in decision.approvals}
        for digest in relied.approvals:
            if digest not in counted:
                self._uncounted(link, digest, question, decision)
        if decision.allowed and wanted is Answer.ALLOWED:
            used = {counted[each].record.approver for each in relied.approvals if each in counted}
            self._check_names(link, set(relied.approvers), used)
        self._note_self_approval(link, question, decision.approvals)
        if question.provenance.unsigned and not question.policy.policy.plans_signed:
            commits = ", ".join(each[:12] for each in question.provenance.unsigned)
            author = question.plan.plan.author
            text = f"plan commits {commits} are unsigned: that {author} is the author is a claim"
            self.past.found.note(f"{self.walk.name}: {text}")

    def _check_names(self, link: Link, named: set[str], used: set[str]) -> None:
        if named - used:
            message = f"it names {sorted(named - used)}, whose approvals do not count"
            self.walk.add("not_allowed", link.file.name, message)
        if used - named:
            self.walk.add("not_allowed", link.file.name, f"it does not name {sorted(used - named)}")

    def _uncounted(self, link: Link, digest: str, question: Question, decision: Decision) -> None:
        """Say what is wrong with an approval that a record relied on; a refusal says its own."""
        ballot = self.walk.ballots.find(digest)
        if ballot is None:
            message = f"approval {digest[7:19]} is nowhere in this repository"
            self.walk.add("not_allowed", link.file.name, message)
            return
        record = ballot.record
        late = parse_time(record.made_at) > question.now + CLOCK_SKEW
        whose = f"{record.approver}'s approval {record.id}"
        if late or not any(vote.digest == digest for vote in question.votes):
            self.walk.add("approved_after", link.file.name, f"{whose} came after the step")
        elif decision.allowed:
            self.walk.add("not_allowed", link.file.name, f"{whose} does not count")

    def _note_self_approval(
        self, link: Link, question: Question, approvals: Sequence[Vote]
    ) -> None:
        policy = question.policy.policy
        if not policy.self_approval:
            return
        strict = policy.model_copy(update={"self_approval": False})
        barred = gate.excluded(replace(question, policy=replace(question.policy, policy=strict)))
        for who in sorted({vote.record.approver for vote in approvals} & set(barred)):
            text = f"self-approval, which the policy allows: {who} {barred[who]}"
            self.past.found.note(f"{self.walk.name} {link.file.name}: {text}")

    def _check_effect(self, link: Link, question: Question, decision: Decision) -> None:
        record = link.record
        if decision.money is not None and record.cost.usd > max(decision.money, Decimal(0)):
            message = f"{usd(record.cost.usd)} USD spent; {usd(decision.money)} were left"
            self.walk.add("over_budget", link.file.name, message)
        step = question.plan.plan.steps[question.step]
        for change in record.changes:
            trouble = self._unapproved(step, change, question, decision)
            if trouble:
                message = f"{change.path}: {trouble}"
                self.walk.add("unapproved_change", link.file.name, message)
        given = typed_input(step)
        done = record.status == "completed" and record.kind == "step"
        if isinstance(given, EditFileInput) and done:
            self._check_edit(link, given)

    def _unapproved(
        self, step: Step, change: Change, question: Question, decision: Decision
    ) -> str:
        given = typed_input(step)
        if step.step_type in READS_ONLY:
            return f"a {step.step_type} step changes nothing"
        if isinstance(given, EditFileInput) and given.path != change.path:
            return f"the step edits {given.path}"
        if isinstance(given, RunCommandInput) and not any(
            globs.matches(glob, change.path) for glob in given.writes
        ):
            return "`writes` does not list it"
        verdict = self.of_plan.verdict(question, change)
        lacking = gate.unmet(question, verdict.requirements, decision.approvals)
        return "; ".join([*verdict.denied, *lacking]) if decision.allowed else ""

    def _check_edit(self, link: Link, given: EditFileInput) -> None:
        """Apply the approved edit again: the file must be what it gives."""
        before, after = self.walk.contents(link, given.path)
        try:
            wanted = edit_file.apply(given, before)
        except StepFailed as error:
            self.walk.add("changes_differ", link.file.name, error.message)
            return
        if given.replaces not in {None, edit_file.pin(before)}:
            message = f"{given.path} was not the file that the edit was written against"
            self.walk.add("changes_differ", link.file.name, message)
        if wanted != after:
            found = digest_bytes(after)[7:19] if after is not None else "no file"
            message = f"{given.path} is {found}, not what the approved edit gives"
            self.walk.add("changes_differ", link.file.name, message)
