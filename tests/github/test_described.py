"""The client and the simulator against GitHub's own description of its API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import github_npm
import github_openapi
import httpx
import pytest
from desk import NAME, ROBOT, Desk, desk
from github_openapi import REPO, prism
from graphql import build_schema, parse, validate
from team import EDIT, READ

from runner.core.errors import ForgeUnclear
from runner.github import parsing, queries
from runner.github.auth import Token
from runner.github.client import GitHub
from runner.github.wire import graphql_url

EDITIONS = ("api.github.com", "ghec", "ghes-3.19")


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, str]]:
    """A desk whose forge is asked through prism, which lets nothing pass that is not as described."""
    base = tmp_path_factory.mktemp("judged")
    with desk(base) as team, prism(base, before=team.url) as address:
        yield team, address


def test_every_request_and_answer_is_as_described(judged: tuple[Desk, str]) -> None:
    """A plan is checked, approved, commented on and executed: each request is valid on GitHub."""
    team, address = judged
    number = team.propose(steps=READ + EDIT)
    ours = {"GITHUB_API_URL": address}
    assert team.github("check", "--pull-request", str(number), **ours).code == 0
    comment = team.forge.comment(number, by="carol", body="/planlock rnu")
    event = team.event("issue_comment", {"comment": {"id": comment}})
    assert team.github("execute", **event, **ours).code == 0
    team.forge.review(number, by="carol", body="Looks good")
    team.approve(number)
    done = team.github("execute", "--pull-request", str(number), **ours)
    assert done.code == 0, done.text
    assert team.ran() == ["read", "edit"]


def test_an_issue_is_read_and_answered_as_described(judged: tuple[Desk, str]) -> None:
    """Somebody who may not asks for a plan; a member of a team and a broken plan are seen too."""
    team, address = judged
    team.forge.person("mallory", id=9, permission="read", teams=["acme/core"])
    issue = team.forge.issue(by="mallory", title="Do it")
    team.forge.label(issue, "planlock", by="mallory")
    assert team.github("propose", "--issue", str(issue), GITHUB_API_URL=address).code == 4
    forge = GitHub(NAME, auth=Token(f"simulated-{ROBOT}"), url=address)
    account = forge.issue(issue).author
    assert account is not None
    assert forge.is_in_team("acme/core", account)
    forge.react(team.forge.comment(issue, by="ada", body="hm"), "eyes")
    forge.close()


def test_what_is_not_as_described_does_not_pass(judged: tuple[Desk, str]) -> None:
    """The judge is awake: a check run without a name is refused before the forge sees it."""
    _, address = judged
    answer = httpx.post(
        f"{address}/repos/{NAME}/check-runs",
        json={"head_sha": "0" * 40, "conclusion": "fine"},
        headers={"authorization": f"Bearer simulated-{ROBOT}"},
    )
    assert answer.status_code in {422, 500}
    assert "validation" in answer.json()


def _each(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: [read(each) for each in values]


ANSWERS: dict[str, tuple[str, str, str, Callable[[Any], Any]]] = {
    "pull": ("get", f"{REPO}/pulls/{{pull_number}}", "200", parsing.pull_request),
    "pulls": ("get", f"{REPO}/pulls", "200", _each(parsing.pull_request)),
    "opened": ("post", f"{REPO}/pulls", "201", parsing.pull_request),
    "edited": ("patch", f"{REPO}/pulls/{{pull_number}}", "200", parsing.pull_request),
    "reviews": (
        *("get", f"{REPO}/pulls/{{pull_number}}/reviews", "200"),
        _each(lambda value: parsing.review(value, {})),
    ),
    "timeline": (
        *("get", f"{REPO}/issues/{{issue_number}}/timeline", "200"),
        _each(parsing.timeline_event),
    ),
    "comments": ("get", f"{REPO}/issues/{{issue_number}}/comments", "200", _each(parsing.comment)),
    "comment": ("get", f"{REPO}/issues/comments/{{comment_id}}", "200", parsing.comment),
    "commented": ("post", f"{REPO}/issues/{{issue_number}}/comments", "201", parsing.comment),
    "issue": ("post", f"{REPO}/issues", "201", parsing.issue),
    "rights": (
        *("get", f"{REPO}/collaborators/{{username}}/permission", "200"),
        lambda value: parsing.permission(value, 1),
    ),
}


@pytest.mark.parametrize("edition", EDITIONS)
@pytest.mark.parametrize("name", ANSWERS)
def test_github_s_own_examples_are_read(name: str, edition: str) -> None:
    """Each example answer of the description becomes facts."""
    method, path, status, read = ANSWERS[name]
    whole = github_openapi.whole(edition)
    content = whole["paths"][path][method]["responses"][status]["content"]
    examples = list(content["application/json"]["examples"].values())
    assert examples
    for each in examples:
        found = each
        if "$ref" in each:
            found = whole["components"]["examples"][each["$ref"].rpartition("/")[2]]
        assert read(found["value"]) is not None


@pytest.mark.parametrize("edition", EDITIONS)
def test_pushes_are_read_as_the_schema_has_them(edition: str) -> None:
    """The schema's names are those that the server sends; the example beside it has older ones."""
    schema = github_openapi.whole(edition)["components"]["schemas"]["activity"]
    wanted = {"before", "after", "ref", "timestamp", "activity_type", "actor"}
    assert wanted <= set(schema["required"])
    kinds = set(schema["properties"]["activity_type"]["enum"])
    assert {"push", "force_push", "branch_creation", "branch_deletion"} <= kinds
    with pytest.raises(ForgeUnclear):
        parsing.push({"before": "a" * 40, "after": "b" * 40, "pushed_at": "2011-01-26T19:06:43Z"})


@pytest.mark.parametrize("query", [queries.VIEWER, queries.EDITS, queries.ISSUE])
def test_queries_are_valid(query: str) -> None:
    """Each query that we send asks for what GitHub's schema has."""
    text = (github_npm.folder() / "@octokit/graphql-schema/schema.graphql").read_text()
    assert validate(build_schema(text, assume_valid=True), parse(query)) == []


@pytest.mark.parametrize(
    "rest,queries_at",
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://git.example.com/api/v3", "https://git.example.com/api/graphql"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/graphql"),
    ],
)
def test_enterprise_servers_have_queries_elsewhere(rest: str, queries_at: str) -> None:
    """docs.github.com: GraphQL lies beside the REST API there."""
    assert graphql_url(rest) == queries_at


def test_an_enterprise_address_is_asked_below_api_v3(tmp_path: Path) -> None:
    """A whole check against the simulator where GitHub Enterprise Server has its API."""
    with desk(tmp_path) as team:
        number = team.propose()
        url = f"{team.url}/api/v3"
        done = team.github("check", "--pull-request", str(number), GITHUB_API_URL=url)
        assert done.code == 0, done.text
        assert "approve sha256:" in team.comment_of_plan(number)
