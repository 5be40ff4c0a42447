"""What says which models there are, inside of a repository or outside."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner import schemas, settings
from runner.core.errors import RepositoryNotFound, ToolNotFound
from runner.git import command
from runner.models.setup import Sources
from runner.project import Project
from runner.settings import ModelSettings
from runner.verbs.router import store_folder


@dataclass(frozen=True, kw_only=True)
class Told:
    """Where models and answers are found; `ignored` are settings of the repository itself."""

    sources: Sources
    store: Path
    ignored: tuple[str, ...]


def told(project: Project) -> Told:
    """Read the settings about models; raises GitError or RepositoryUnsuitable."""
    environment = project.world.environment
    try:
        found, script = project.model_settings, project.settings.model_script
        return _told(found, environment, script=script, store=project.model_store)
    except (RepositoryNotFound, ToolNotFound):
        own = list(_user_settings(environment))
        config = {name.lower(): value for _, name, value in own}
        return _told(
            settings.load_models(environment, own),
            environment,
            script=settings.load(environment, config).model_script,
            store=store_folder(environment),
        )


def _told(
    found: ModelSettings, environment: Mapping[str, str], *, script: Path | None, store: Path
) -> Told:
    sources = Sources(
        file=found.file,
        url=found.url,
        router_url=found.router_url,
        script=script,
        environment=environment,
        schema=schemas.load("models") if found.file else None,
    )
    return Told(sources=sources, store=store, ignored=found.ignored)


def _user_settings(environment: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield the user's own git configuration; nothing where there is none, or no git."""
    names = ("GIT_CONFIG_GLOBAL", "HOME", "XDG_CONFIG_HOME")
    own = {name: environment.get(name) for name in names}
    try:
        listed = command.attempt(["config", "--global", "--list", "-z"], env=own)
    except ToolNotFound:
        return
    for text in listed.stdout.split(b"\0"):
        name, _, value = os.fsdecode(text).partition("\n")
        if name:
            yield "global", name, value
