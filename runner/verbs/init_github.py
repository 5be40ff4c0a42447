"""`init --github`: bring the workflows and actions that make pull requests a desk."""

from __future__ import annotations

from dataclasses import dataclass

from runner import github_files
from runner.core.errors import FileAccessError, RepositoryUnsuitable
from runner.git.checkouts import write_file
from runner.project import Project

ENVIRONMENT = "planlock"
KEY_SECRET = "PLANLOCK_RUNNER_KEY"  # noqa: S105  # its name


@dataclass(frozen=True, kw_only=True)
class Carried:
    """Paths that were written, that were there as they are, and that were there otherwise.

    `settings` are what a person sets on GitHub, each with the command where there is one.
    """

    written: tuple[str, ...]
    kept: tuple[str, ...]
    differing: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]


def carry(project: Project) -> Carried:
    """Write what is not there; nothing that is there is changed."""
    top = project.repository.work_tree
    if top is None:
        message = "writing .github/: this repository is bare and has no work tree"
        raise RepositoryUnsuitable(message, hint="run init in a clone and push")
    written: list[str] = []
    kept: list[str] = []
    differing: list[str] = []
    for name, (data, is_program) in github_files.files().items():
        path = top / name
        try:
            if path.exists():
                (kept if path.read_bytes() == data else differing).append(name)
                continue
            write_file(path, data)
            if is_program:
                path.chmod(0o755)
        except OSError as error:
            raise FileAccessError.of(f"writing {name}", error, top) from error
        written.append(name)
    return Carried(
        written=tuple(written),
        kept=tuple(kept),
        differing=tuple(differing),
        settings=tuple(settings(project)),
    )


def settings(project: Project) -> list[tuple[str, str]]:
    """What GitHub has to be told; `planlock doctor --github` checks it."""
    key = project.runner_key_path
    return [
        (
            f"an environment `{ENVIRONMENT}` for the default branch alone, with the runner's key",
            f"gh secret set {KEY_SECRET} --env {ENVIRONMENT} < {key}",
        ),
        (
            "a ruleset for the default branch: pull requests, code owners, no force pushes, no deletion",
            "Settings, Rules, Rulesets",
        ),
        (
            "owners of what decides: CODEOWNERS",
            "/plans/policy.yaml, /plans/allowed_signers and /.github/, each with @somebody",
        ),
        (
            "a ruleset for planlock/**: no force pushes, no deletion",
            "Settings, Rules, Rulesets",
        ),
        (
            "workflow permissions: read by default, and Actions may open pull requests",
            "Settings, Actions, General",
        ),
        (
            "each person's account in plans/policy.yaml; `assurance: forge` where reviews suffice",
            "github: {login: ada, id: 1234}, the id from https://api.github.com/users/ada",
        ),
    ]
