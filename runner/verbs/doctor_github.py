"""`doctor --github`: whether GitHub is set up so that nothing goes round the approvals."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from runner import github_files
from runner.core.approval import WITNESS
from runner.core.errors import ForgeDenied, PlanlockError
from runner.core.policy import POLICY_PATH, SIGNERS_PATH
from runner.core.reviews import HEADS
from runner.github.client import GitHub
from runner.github.wire import UNKNOWN_TOKEN
from runner.project import Authority, Project
from runner.verbs import branch_rules
from runner.verbs.doctor import Check, Diagnosis, Status
from runner.verbs.init_github import ENVIRONMENT, KEY_SECRET

RULES = "Settings, Rules, Rulesets"
ACTIONS = "Settings, Actions, General"
_USES = re.compile(rb"""(?:^|[\s{,"'])uses["']?\s*:\s*([^\s#,}]+)""", re.MULTILINE)
_PINNED = re.compile(r"\./.*|docker://.*@sha256:[0-9a-f]{64}|[^@]+@[0-9a-f]{40}")
# A run's branch, by any name that one could have.
A_RUN = "planlock/doctor/1"
# Who changes these changes what is allowed, or what it is decided by.
DECIDING = (POLICY_PATH, SIGNERS_PATH, ".github/workflows/planlock-execute.yml")

Found = tuple[Status, str, tuple[str, ...]]
Look = tuple[str, Callable[[], Found]]


def doctor(project: Project) -> Diagnosis:
    """Look at everything that can be asked; raises NotGoverned, UsageError or GitError."""
    project.home.fetch()
    authority, forge = project.authority(), project.forge
    branch = authority.ref.removeprefix(HEADS)
    there: tuple[Look, ...] = (
        ("default branch", lambda: _default_branch(forge, authority)),
        ("rules", lambda: _rules(forge, branch, pulls=True)),
        ("rules of runs", lambda: _rules(forge, A_RUN, pulls=False)),
        ("token permissions", lambda: _permissions(forge)),
        ("environment", lambda: _environment(forge, branch)),
        ("runner's key", lambda: _key(forge)),
        ("code owners", lambda: _code_owners(project, authority, branch)),
    )
    here: tuple[Look, ...] = (
        ("workflows", lambda: _workflows(project, authority)),
        ("pinned actions", lambda: _pinned(project, authority)),
        ("witness", lambda: _witness(authority)),
        ("people", lambda: _people(authority)),
    )
    unreached = _unreached(forge)
    looked = (unreached,) if unreached else tuple(_check(*each) for each in there)
    return Diagnosis(checks=(*looked, *(_check(*each) for each in here)))


def _unreached(forge: GitHub) -> Check | None:
    """Why nothing can be asked there, where every question would have the same answer."""
    try:
        found = forge.setting("")
    except ForgeDenied as error:
        if error.status != UNKNOWN_TOKEN:
            return None
        message, fix = error.message, error.hint
    except PlanlockError as error:
        message, fix = error.message, error.hint
    else:
        if found is not None:
            return None
        message = f"GitHub shows no repository {forge.repository} to this token"
        fix = "export PLANLOCK_FORGE=owner/name"
    return Check(name="GitHub", status="fail", message=message, fixes=(fix,) if fix else ())


def _check(name: str, look: Callable[[], Found]) -> Check:
    """What a look gives; what the token may not see is only a warning."""
    try:
        status, message, fixes = look()
    except ForgeDenied as error:
        message = f"this token may not look: {error.message}"
        return Check(name=name, status="warn", message=message, fixes=(error.hint,))
    except PlanlockError as error:
        fixes = (error.hint,) if error.hint else ()
        return Check(name=name, status="fail", message=error.message, fixes=fixes)
    return Check(name=name, status=status, message=message, fixes=fixes)


def _default_branch(forge: GitHub, authority: Authority) -> Found:
    found = (forge.setting("") or {}).get("default_branch")
    if f"{HEADS}{found}" != authority.ref:
        message = f"it is {found}, but {authority.ref} is trusted: workflows run from the default"
        return "fail", message, ("git config planlock.trustedRef refs/heads/" + str(found),)
    return "ok", f"{found} is trusted", ()


def _rules(forge: GitHub, branch: str, *, pulls: bool) -> Found:
    """Whether a branch can be rewritten, deleted or, where it matters, pushed to directly."""
    kinds = {str(each.get("type")) for each in branch_rules.of(forge, branch)}
    kinds |= _protected(forge, branch) if pulls else set()
    wanted = {"non_fast_forward", "deletion", *(["pull_request"] if pulls else [])}
    lacking = sorted(wanted - kinds)
    where = branch if pulls else "planlock/**"
    if lacking:
        status: Status = "fail" if pulls else "warn"
        return status, f"{where} lacks the rules {', '.join(lacking)}", (RULES,)
    return "ok", f"{where} is not rewritten and not deleted", ()


def _protected(forge: GitHub, branch: str) -> set[str]:
    """What a classic protection gives, named as rules are."""
    found = branch_rules.protection(forge, branch)
    if not found:
        return set()
    kinds = {"pull_request"} if found.get("required_pull_request_reviews") else set()
    for name, rule in (("allow_force_pushes", "non_fast_forward"), ("allow_deletions", "deletion")):
        if not (found.get(name) or {}).get("enabled"):
            kinds.add(rule)
    return kinds


def _permissions(forge: GitHub) -> Found:
    found = forge.setting("/actions/permissions/workflow") or {}
    if found.get("default_workflow_permissions") != "read":
        return "fail", "workflows may write by default", (f"{ACTIONS}: read permissions",)
    if not found.get("can_approve_pull_request_reviews"):
        message = "Actions may not open pull requests, so results are pushed without one"
        return "warn", message, (f"{ACTIONS}: allow Actions to create pull requests",)
    return "ok", "read by default; Actions may open pull requests", ()


def _environment(forge: GitHub, branch: str) -> Found:
    found = forge.setting(f"/environments/{ENVIRONMENT}")
    fix = f"Settings, Environments, {ENVIRONMENT}: selected branches, the default branch"
    if not isinstance(found, dict):
        return "fail", f"there is no environment {ENVIRONMENT}", (fix,)
    policy = found.get("deployment_branch_policy")
    if not isinstance(policy, dict):
        return "fail", "workflows of every branch may use its secrets", (fix,)
    if policy.get("custom_branch_policies"):
        path = f"/environments/{ENVIRONMENT}/deployment-branch-policies"
        chosen = forge.setting(path, key="branch_policies") or []
        more = sorted({str(each.get("name")) for each in chosen} - {branch})
        if more:
            return "fail", f"workflows of {', '.join(more[:5])} may use its secrets", (fix,)
        return "ok", f"{ENVIRONMENT} is for {branch} alone", ()
    return "ok", f"{ENVIRONMENT} is for protected branches alone", ()


def _key(forge: GitHub) -> Found:
    """The runner's key lies where only the default branch's workflows reach it."""
    wide = (("repository", "secrets", ""), ("organization", "organization-secrets", " --org NAME"))
    for whose, path, option in wide:
        found = forge.setting(f"/actions/{path}", key="secrets") or []
        if any(each.get("name") == KEY_SECRET for each in found):
            message = f"{KEY_SECRET} is a secret of the {whose}: a workflow of any branch reads it"
            return "fail", message, (f"gh secret delete {KEY_SECRET}{option}",)
    own = forge.setting(f"/environments/{ENVIRONMENT}/secrets", key="secrets") or []
    if not any(each.get("name") == KEY_SECRET for each in own):
        fix = f"gh secret set {KEY_SECRET} --env {ENVIRONMENT} < .git/planlock/runner_key"
        return "fail", f"environment {ENVIRONMENT} has no secret {KEY_SECRET}", (fix,)
    return "ok", f"{KEY_SECRET} is a secret of environment {ENVIRONMENT}", ()


def _code_owners(project: Project, authority: Authority, branch: str) -> Found:
    """Whether somebody is asked before what decides is changed."""
    tree = project.store.commit(authority.commit).tree
    owners = project.code_owners(tree, f"{authority.ref}:")
    alone = [path for path in DECIDING if owners is None or not owners.of(path)]
    if alone:
        fix = "CODEOWNERS: /plans/policy.yaml, /plans/allowed_signers and /.github/ with owners"
        return "warn", f"nobody owns {', '.join(alone)}", (fix,)
    asked = branch_rules.reviewing(project.forge, branch)
    names = ("require_code_owner_review", "require_code_owner_reviews")
    if not any(each.get(name) for each in asked for name in names):
        fix = f"{RULES}: {branch}, require review from code owners"
        return "warn", f"{branch} is merged to without its code owners", (fix,)
    return "ok", "what decides is merged by its code owners", ()


def _workflows(project: Project, authority: Authority) -> Found:
    """Whether the trusted branch has ours as this version has them."""
    tree = project.store.commit(authority.commit).tree
    missing, differing = [], []
    for name, (data, _) in github_files.files().items():
        found = project.store.file(tree, name)
        if found is None:
            missing.append(name)
        elif found != data:
            differing.append(name)
    if missing:
        message = f"the trusted branch lacks {', '.join(missing)}"
        return "fail", message, ("planlock init --github, then commit .github",)
    if differing:
        message = f"not as this version has them: {', '.join(differing)}"
        return "warn", message, ("compare them with a fresh planlock init --github",)
    return "ok", "the trusted branch has them as this version does", ()


def _pinned(project: Project, authority: Authority) -> Found:
    """Others' code in any workflow of the trusted branch is named by full commit ids."""
    loose = sorted(set(_loose(project, authority)))
    if loose:
        message = f"not pinned to a commit: {', '.join(loose[:5])}"
        return "fail", message, ("name full commit ids, with the version in a comment",)
    return "ok", "every action is named by a commit", ()


def _loose(project: Project, authority: Authority) -> Iterator[str]:
    tree = project.store.commit(authority.commit).tree
    folder = project.store.entry(tree, ".github")
    if folder is None:
        return
    for path, _ in project.store.walk(folder.oid, ".github/"):
        if path.endswith((".yml", ".yaml")):
            data = project.store.file(tree, path) or b""
            for used in _USES.findall(data):
                name = used.decode("utf-8", "replace").strip("\"'")
                if not _PINNED.fullmatch(name):
                    yield f"{name} in {path}"


def _witness(authority: Authority) -> Found:
    """A machine's key is listed for telling what it saw."""
    entries = authority.signers.entries
    machines = [
        each.principal
        for each in entries
        if WITNESS in each.namespaces and authority.policy.person(each.principal) is None
    ]
    if not machines:
        message = f"plans/allowed_signers lists no machine for {WITNESS}: reviews count for nobody"
        return "fail", message, ("planlock init, then commit plans/allowed_signers",)
    return "ok", f"{', '.join(sorted(set(machines)))} may witness reviews", ()


def _people(authority: Authority) -> Found:
    policy = authority.policy
    known = [each.principal for each in policy.people if each.github]
    fix = "plans/policy.yaml: github: {login: ada, id: 1234}"
    if not known:
        return "fail", "no person of the policy has an account, so no review counts", (fix,)
    if policy.assurance in {"key", "hardware"}:
        message = f"assurance is {policy.assurance}: reviews are not enough by themselves"
        return "warn", message, ("assurance: forge, where reviews are to count",)
    return "ok", f"{len(known)} of {len(policy.people)} people have accounts", ()
