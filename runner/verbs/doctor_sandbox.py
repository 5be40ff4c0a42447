"""`doctor --sandbox`: attack each backend of this machine, and say what held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runner.core.errors import PlanlockError, SandboxUnavailable
from runner.core.policy import Confinement
from runner.project import Project
from runner.sandbox import selftest
from runner.sandbox.commands import Backend, find_backend, landlock
from runner.sandbox.selftest import Result
from runner.sandbox.selftest_attacks import ATTACKS

# Where nothing else is known, a container's own confinement keeps namespaces from bwrap.
ALLOW = (
    "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
    " --security-opt systempaths=unconfined …   (in a container)"
)
_FIRST = "let no plan with commands run here before"
UPDATES = {
    "bubblewrap": f"sudo apt-get install --only-upgrade bubblewrap; {_FIRST}",
    "landlock": f"update the kernel, or sudo apt-get install bubblewrap; {_FIRST}",
}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One backend's answers to all attacks, or why it cannot be had here."""

    kind: str
    backend: str = ""
    results: tuple[Result, ...] = ()
    unheld: tuple[str, ...] = ()
    unavailable: str = ""
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """`backend` is what would run commands here; well where it held all that it should."""

    require: Confinement
    backend: str
    well: bool
    message: str
    fix: str
    trials: tuple[Trial, ...]


def doctor_sandbox(project: Project) -> Report:
    """Try to break out of every backend that can be had; no file of anybody is at stake."""
    require = _require(project)
    return judged(require, [trial(kind, find) for kind, find in BACKENDS.items()])


def _bubblewrap() -> Backend:
    return find_backend("confined")


BACKENDS: dict[str, Callable[[], Backend]] = {"bubblewrap": _bubblewrap, "landlock": landlock}


def _require(project: Project) -> Confinement:
    """As the policy here asks; outside of a governed repository, the strongest."""
    try:
        return project.authority().policy.sandbox.require
    except PlanlockError:
        return "confined"


def trial(kind: str, find: Callable[[], Backend]) -> Trial:
    """Try all attacks on one backend, or say why it cannot be had."""
    try:
        backend = find()
    except SandboxUnavailable as error:
        return Trial(kind=kind, unavailable=error.message, fix=error.hint)
    results = selftest.run(backend, ATTACKS)
    unheld = tuple(
        result.name
        for attack, result in zip(ATTACKS, results, strict=True)
        if not selftest.as_declared(attack, backend, result)
    )
    return Trial(kind=kind, backend=backend.name, results=results, unheld=unheld)


def judged(require: Confinement, trials: Sequence[Trial]) -> Report:
    """Hold what was tried against what is asked for: the strongest that fits would run commands."""
    if require == "none":
        return Report(
            require=require,
            backend="none",
            well=True,
            message="the policy here asks for no confinement",
            fix="",
            trials=(*trials,),
        )
    fitting = [each for each in trials if require == "landlock" or each.kind == "bubblewrap"]
    chosen = next((each for each in fitting if each.backend), fitting[0])
    return Report(
        require=require,
        backend=chosen.backend,
        well=bool(chosen.backend) and not chosen.unheld,
        message=_message(chosen),
        fix=_fix(chosen),
        trials=(*trials,),
    )


def _message(chosen: Trial) -> str:
    if not chosen.backend:
        return f"no command can be confined here: {chosen.unavailable}"
    if chosen.unheld:
        return f"{chosen.backend} did not hold {', '.join(chosen.unheld)}"
    return f"{chosen.backend} held all that it should"


def _fix(chosen: Trial) -> str:
    if not chosen.backend:
        return chosen.fix or ALLOW
    return UPDATES[chosen.kind] if chosen.unheld else ""
