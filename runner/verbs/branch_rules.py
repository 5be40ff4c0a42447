"""What GitHub's rulesets and classic protection ask of a branch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.core.errors import ForgeDenied, ForgeError, NotFound, Refused, UsageError
from runner.github.client import GitHub
from runner.project import Project
from runner.verbs import pull_request


def of(forge: GitHub, branch: str) -> list[Mapping[str, Any]]:
    """The rules that are in force for a branch, each with `type` and perhaps `parameters`."""
    rules = forge.setting(f"/rules/branches/{branch.replace('/', '%2F')}")
    return [each for each in rules or () if isinstance(each, dict)]


def protection(forge: GitHub, branch: str) -> Mapping[str, Any]:
    """The classic protection, empty where there is none; raises ForgeDenied."""
    found = forge.setting(f"/branches/{branch.replace('/', '%2F')}/protection")
    return found if isinstance(found, dict) else {}


def reviewing(forge: GitHub, branch: str) -> list[Mapping[str, Any]]:
    """What both say of reviews; raises ForgeDenied."""
    return [*_of_pulls(forge, branch), _mapping(protection(forge, branch), _CLASSIC)]


def warning(project: Project, plan: str) -> str:
    """What pushing the plan's branch would undo, for people about to do it; empty where nothing.

    Nobody needs GitHub to decide, so where it cannot be asked nothing is said.
    """
    try:
        pull = pull_request.find(project, project.forge, plan)
        dismisses = _dismisses(project.forge, pull.base.branch)
    except (ForgeError, NotFound, Refused, UsageError):
        return ""
    if not dismisses:
        return ""
    return (
        f"pull request {pull.number} is open, and {pull.base.branch} dismisses reviews when"
        " its branch is pushed: push this before others review"
    )


_CLASSIC = "required_pull_request_reviews"


def _dismisses(forge: GitHub, branch: str) -> bool:
    if any(each.get("dismiss_stale_reviews_on_push") for each in _of_pulls(forge, branch)):
        return True
    try:
        classic = _mapping(protection(forge, branch), _CLASSIC)
    except ForgeDenied:
        return False  # which only administrators may read
    return bool(classic.get("dismiss_stale_reviews"))


def _of_pulls(forge: GitHub, branch: str) -> list[Mapping[str, Any]]:
    every = [each for each in of(forge, branch) if each.get("type") == "pull_request"]
    return [_mapping(each, "parameters") for each in every]


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}
