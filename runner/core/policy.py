"""The policy file: who must approve what. Its form; runner/core/rules.py applies it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, StringConstraints, ValidationError

from runner.core import canonical
from runner.core.code_owners import CodeOwners
from runner.core.errors import InvalidDocument
from runner.core.plan import EnvName, Host, Version, model_problems
from runner.core.plan_checks import check_problems
from runner.core.policy_checks import MOST_ROLES, cross_checks
from runner.core.risks import Label
from runner.core.values import Duration, Line, Principal, StepType, Strict, Text, Usd

Assurance = Literal["server", "forge", "key", "hardware"]
LEVELS: tuple[Assurance, ...] = ("server", "forge", "key", "hardware")
# From the strongest to none at all.
Confinement = Literal["confined", "landlock", "none"]
CONFINEMENTS: tuple[Confinement, ...] = ("confined", "landlock", "none")
POLICY_PATH = "plans/policy.yaml"
SIGNERS_PATH = "plans/allowed_signers"
PLANS_FOLDER = "plans"

Role = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Count = Annotated[int, Field(ge=0, le=20)]
SomeCount = Annotated[int, Field(ge=1, le=20)]


class GitHubAccount(Strict):
    login: Line
    id: Annotated[int, Field(ge=1)]


class Person(Strict):
    principal: Principal
    roles: list[Role] = []
    github: GitHubAccount | None = None


class Match(Strict):
    """All that is named must match; a path without a step type means changes of it."""

    step_type: StepType | None = None
    path: Line | None = None
    command: Line | None = None
    risk: Label | None = None


class Examples(Strict):
    """Command lines or paths, as the rule's `match` has a command or a path."""

    match: Annotated[list[Text], Field(max_length=100)] = []
    no_match: Annotated[list[Text], Field(max_length=100)] = []


class Rule(Strict):
    name: Line
    match: Match
    approvals: Count | None = None
    quorum: Annotated[dict[Role, SomeCount], Field(min_length=1, max_length=MOST_ROLES)] | None = (
        None
    )
    roles: list[Role] = []
    assurance: Assurance | None = None
    expires_after: Duration | None = None
    deny: Line | None = None
    examples: Examples = Examples()


class Budgets(Strict):
    """What models may cost; with `allow_unpriced` also those whose price nobody knows."""

    call_usd: Usd | None = None
    step_usd: Usd | None = None
    run_usd: Usd | None = None
    day_usd: Usd | None = None
    project_usd: Usd | None = None
    run_tokens: Annotated[int, Field(ge=0)] | None = None
    day_tokens: Annotated[int, Field(ge=0)] | None = None
    allow_unpriced: bool = False


class Limits(Strict):
    steps: Annotated[int, Field(ge=1, le=1000)] = 50
    changed_files: Annotated[int, Field(ge=0)] = 100
    changed_bytes: Annotated[int, Field(ge=0)] = 1_000_000


class Sandbox(Strict):
    """How commands are confined: the weakest that will do, and what they may be given."""

    require: Confinement = "confined"
    network: list[Host] = []
    tools: list[Line] = []
    secrets: list[EnvName] = []


class Forge(Strict):
    """Which reviews count besides those that name the digest, and whose are asked for."""

    plain_reviews: bool = False
    code_owners: bool = False


class Policy(Strict):
    version: Version
    repository: Annotated[
        str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
    ]
    people: Annotated[list[Person], Field(min_length=1)]
    rules: list[Rule] = []
    defaults: dict[StepType, Count] = {}
    assurance: Assurance = "forge"
    self_approval: bool = False
    plans_signed: bool = False
    approvals_expire_after: Duration | None = None
    forge: Forge = Forge()
    budgets: Budgets = Budgets()
    limits: Limits = Limits()
    sandbox: Sandbox = Sandbox()
    plugins: list[Line] = []
    _owners: CodeOwners | None = PrivateAttr(default=None)

    @property
    def owners(self) -> CodeOwners | None:
        """CODEOWNERS as beside the policy; None where it was not looked for or is not there."""
        return self._owners

    def with_owners(self, owners: CodeOwners) -> Policy:
        """The same policy, knowing whose each path is."""
        known = self.model_copy()
        known._owners = owners  # noqa: SLF001  # of its own class
        return known

    def person(self, principal: str) -> Person | None:
        return self._by_principal.get(principal)

    def person_of_account(self, number: int) -> Person | None:
        """The person who has an account of the forge, by its number: logins change hands."""
        return self._by_account.get(number)

    @cached_property
    def _by_account(self) -> dict[int, Person]:
        return {each.github.id: each for each in self.people if each.github}

    @cached_property
    def _by_principal(self) -> dict[str, Person]:
        return {each.principal: each for each in self.people}


@dataclass(frozen=True, kw_only=True)
class PolicyFile:
    """A checked policy; `execution` is the digest of its `sandbox` and `plugins` as written."""

    policy: Policy
    execution: str


def build(value: Mapping[str, Any], *, file: str) -> PolicyFile:
    """Type a parsed policy; raises InvalidDocument with every problem."""
    try:
        policy = Policy.model_validate(value)
    except ValidationError as error:
        raise InvalidDocument(model_problems(error, file=file)) from error
    problems = check_problems(cross_checks(value), file=file)
    if problems:
        raise InvalidDocument(problems)
    execution = {key: value[key] for key in ("sandbox", "plugins") if key in value}
    return PolicyFile(
        policy=policy, execution=canonical.chain("planlock/execution/v1", execution, None)
    )
