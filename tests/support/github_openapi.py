"""GitHub's description of its REST API, cut down to what planlock asks, and prism before a server."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import github_npm
import httpx

REPO = "/repos/{owner}/{repo}"
PATHS = (
    REPO,
    f"{REPO}/activity",
    f"{REPO}/pulls",
    f"{REPO}/pulls/{{pull_number}}",
    f"{REPO}/pulls/{{pull_number}}/reviews",
    f"{REPO}/issues/{{issue_number}}",
    f"{REPO}/issues/{{issue_number}}/comments",
    f"{REPO}/issues/{{issue_number}}/timeline",
    f"{REPO}/issues/comments/{{comment_id}}",
    f"{REPO}/issues/comments/{{comment_id}}/reactions",
    f"{REPO}/collaborators/{{username}}/permission",
    f"{REPO}/check-runs",
    f"{REPO}/check-runs/{{check_run_id}}",
    f"{REPO}/installation",
    f"{REPO}/rules/branches/{{branch}}",
    f"{REPO}/branches/{{branch}}/protection",
    f"{REPO}/actions/permissions/workflow",
    f"{REPO}/actions/secrets",
    f"{REPO}/actions/organization-secrets",
    f"{REPO}/environments/{{environment_name}}",
    f"{REPO}/environments/{{environment_name}}/secrets",
    f"{REPO}/environments/{{environment_name}}/deployment-branch-policies",
    "/app/installations/{installation_id}/access_tokens",
    "/orgs/{org}/teams/{team_slug}/memberships/{username}",
)
# Queries are described elsewhere (test_queries_are_valid); here they only pass.
GRAPHQL = {
    "post": {
        "operationId": "graphql",
        "requestBody": {"content": {"application/json": {}}},
        "responses": {"200": {"description": "An answer", "content": {"application/json": {}}}},
    }
}


@cache
def whole(edition: str = "api.github.com") -> Mapping[str, Any]:
    path = github_npm.folder() / f"@octokit/openapi/generated/{edition}.json"
    return dict(json.loads(path.read_bytes()))


def cut_down(edition: str = "api.github.com") -> dict[str, Any]:
    """The description with our paths alone, and all that they refer to."""
    full = whole(edition)
    paths = {path: full["paths"][path] for path in PATHS}
    components: dict[str, dict[str, Any]] = {}
    waiting = list(_references(paths))
    while waiting:
        kind, name = waiting.pop()
        if name not in components.setdefault(kind, {}):
            components[kind][name] = full["components"][kind][name]
            waiting += _references(components[kind][name])
    return {
        "openapi": full["openapi"],
        "info": full["info"],
        "paths": {**paths, "/graphql": GRAPHQL},
        "components": components,
    }


def _references(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            _, _, kind, name = reference.split("/")
            yield kind, name
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


@contextmanager
def prism(base: Path, *, before: str = "") -> Iterator[str]:
    """Serve the description's own examples, or stand before a server and judge all that passes."""
    spec = base / "github.json"
    spec.write_text(json.dumps(cut_down()))
    port = _free_port()
    program = str(github_npm.folder() / ".bin/prism")
    words = ["proxy", str(spec), before] if before else ["mock", str(spec)]
    log = (base / "prism.log").open("w")
    argv = [program, *words, "--errors", "--port", str(port), "--host", "127.0.0.1"]
    process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        _wait(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
        log.close()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(600):
        assert process.poll() is None, "prism ended"
        try:
            httpx.get(f"http://127.0.0.1:{port}/", timeout=1)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("prism does not answer")
