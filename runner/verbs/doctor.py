"""`doctor`: what planlock needs, whether it is there, and what to type where it is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from runner.core.errors import (
    InvalidDocument,
    NotGoverned,
    PlanlockError,
    RepositoryNotFound,
    ToolNotFound,
)
from runner.git import command
from runner.git.signing import SSH_KEYGEN
from runner.project import Project
from runner.sandbox import bubblewrap_profile
from runner.sandbox.commands import find_backend
from runner.verbs import models, whoami
from runner.verbs.models import Listing

Status = Literal["ok", "warn", "fail"]
WAYS = (
    "export GEMINI_API_KEY=…   (or OPENAI_API_KEY, OPENROUTER_API_KEY)",
    "ollama pull qwen2.5-coder:7b && export OLLAMA_HOST=127.0.0.1:11434",
    (
        "llama-server -m MODEL.gguf -c 16384 --port 8080 &"
        " export PLANLOCK_MODEL_URL=http://127.0.0.1:8080/v1   (any server with OpenAI's API)"
    ),
)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at; `fixes` are commands, each enough by itself."""

    name: str
    status: Status
    message: str
    fixes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """All checks; well where none of them failed."""

    checks: tuple[Check, ...]

    @property
    def well(self) -> bool:
        return all(each.status != "fail" for each in self.checks)


def doctor(project: Project) -> Diagnosis:
    """Look at everything; what is broken is a check that failed, never an error."""
    return Diagnosis(checks=(*_tools(project), *_repository(project), *_models(project)))


def apparmor_profile() -> str:
    """Write what lets bwrap confine where AppArmor keeps user namespaces from most programs."""
    return bubblewrap_profile.profile()


def _tried(name: str, look: Callable[[], str], *, otherwise: Status = "fail") -> Check:
    """Make an error the outcome of the check."""
    try:
        return Check(name=name, status="ok", message=look())
    except InvalidDocument as error:
        fix = (error.hint,) if error.hint else ()
        return Check(name=name, status=otherwise, message=str(error), fixes=fix)
    except PlanlockError as error:
        fix = (error.hint,) if error.hint else ()
        return Check(name=name, status=otherwise, message=error.message, fixes=fix)


def _tools(project: Project) -> Iterator[Check]:
    yield _tried("git", lambda: command.run(["--version"]).decode().strip())
    yield _tried("ssh-keygen", _ssh_keygen)
    yield _tried("sandbox", _sandbox, otherwise="fail" if _confines(project) else "warn")


def _confines(project: Project) -> bool:
    """Whether a policy asks for confinement here."""
    try:
        return project.authority().policy.sandbox.require == "confined"
    except PlanlockError:
        return False


def _ssh_keygen() -> str:
    found = shutil.which(SSH_KEYGEN)
    if found is None:
        raise ToolNotFound("it is not installed", hint="apt-get install openssh-client")
    return found


def _sandbox() -> str:
    return f"{find_backend('confined').name} has just confined a command"


def _repository(project: Project) -> Iterator[Check]:
    try:
        top = project.repository.top
    except RepositoryNotFound as error:
        yield Check(name="repository", status="warn", message=error.message, fixes=(error.hint,))
        return
    except PlanlockError as error:
        fixes = (error.hint,) if error.hint else ()
        yield Check(name="repository", status="fail", message=error.message, fixes=fixes)
        return
    governed = _tried("policy", lambda: _policy(project))
    yield Check(name="repository", status="ok", message=str(top))
    yield governed
    if governed.status == "ok":
        yield _person(project)
        yield _tried("runner key", lambda: _runner(project))
        yield _tried("ledger", lambda: _ledger(project))


def _policy(project: Project) -> str:
    try:
        authority = project.authority()
    except NotGoverned as error:
        raise NotGoverned(error.message, hint=error.hint or "planlock init") from error
    return f"{len(authority.policy.people)} person(s) may approve, by {authority}"


def _person(project: Project) -> Check:
    try:
        found = whoami.whoami(project)
    except PlanlockError as error:
        fixes = (error.hint,) if error.hint else ()
        return Check(name="your key", status="fail", message=error.message, fixes=fixes)
    if found.reasons:
        first = found.reasons[0]
        return Check(name="your key", status="fail", message=first.message, fixes=(first.fix,))
    message = f"{found.principal}, {found.key_brief}: an approval would count"
    return Check(name="your key", status="ok", message=message)


def _runner(project: Project) -> str:
    return f"{project.runner_name(project.authority())}, {project.runner_key_path}"


def _ledger(project: Project) -> str:
    return f"{project.ledger.place}, {len(project.ledger.projected())} run(s)"


def _models(project: Project) -> Iterator[Check]:
    try:
        found = models.listing(project)
    except PlanlockError as error:
        fixes = (error.hint,) if error.hint else ()
        yield Check(name="models", status="fail", message=str(error), fixes=fixes)
        return
    yield from (_ignored(name) for name in found.ignored)
    if found.router_url:
        yield Check(name="models", status="ok", message=f"the router at {found.router_url}")
        return
    if not found.providers:
        message = "none is configured: `planlock plan` and model steps need one of these"
        yield Check(name="models", status="warn", message=message, fixes=WAYS)
        return
    yield from _providers(found)


def _ignored(name: str) -> Check:
    message = f"{name} of this repository is ignored: it could send your files and keys elsewhere"
    fix = f"git config --local --unset-all {name}; if you mean it: git config --global {name} VALUE"
    return Check(name="settings", status="warn", message=message, fixes=(fix,))


def _providers(found: Listing) -> Iterator[Check]:
    """One that is not usable only matters where no other one is."""
    usable = any(each.state in {"reachable", "not asked"} for each in found.models)
    for each in found.providers:
        if each.state in {"reachable", "not asked"}:
            count = sum(row.model.startswith(f"{each.name}/") for row in found.models)
            asked = "" if each.state == "reachable" else ", not asked (planlock models --check)"
            yield Check(name=each.name, status="ok", message=f"{count} model(s){asked}")
            continue
        fix = f"export {each.key}=…" if each.state == "not configured" else "start the server"
        status: Status = "warn" if usable else "fail"
        yield Check(name=each.name, status=status, message=each.reason, fixes=(fix,))
    if not found.models:
        message = f"{found.origin} names no model that can be asked"
        yield Check(name="models", status="fail", message=message, fixes=WAYS)
