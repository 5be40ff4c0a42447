"""Every request that the client can send, judged by prism against GitHub's own description."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from github_app_key import PEM
from github_openapi import prism

from runner.core.errors import ForgeError
from runner.core.forge import Account, Annotation, CheckRun
from runner.github.auth import App, Auth, Token
from runner.github.client import GitHub

NAME = "octocat/Hello-World"
BOB = Account(id=1, login="octo cat/../x", is_person=True)
LINES = tuple(Annotation(path="p", line=each, title="t", message="m") for each in range(1, 60))
CHECK = CheckRun(
    name="planlock", commit="a" * 40, conclusion="neutral", title="t", text="s", annotations=LINES
)
RECEIVED, PASSED = "Request received", "The request passed the validation rules"


@dataclass
class Judge:
    """`address` is where prism listens, `log` what it says of each request."""

    address: str
    log: Path

    def ask(self, call: Callable[[GitHub], object], auth: Auth | None = None) -> tuple[int, int]:
        """How many requests a call sent, and how many of them were valid."""
        start = self.log.stat().st_size
        made = GitHub(NAME, auth=auth or Token("x"), url=self.address, sleep=lambda _: None)
        # of many of GitHub's examples its own schema says that they are none: HTTP 500
        with closing(made), suppress(ForgeError):
            call(made)
        return self.said(start)

    def said(self, start: int) -> tuple[int, int]:
        """Wait for the end of the log, which a request of our own marks."""
        httpx.get(f"{self.address}/the-end")
        for _ in range(200):
            text = self.log.read_bytes()[start:].decode()
            if "no path matched" in text.partition("/the-end")[2]:
                before = text.partition("/the-end")[0]
                return before.count(RECEIVED), before.count(PASSED)
            time.sleep(0.05)
        raise AssertionError("prism does not tell what it received")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    base = tmp_path_factory.mktemp("prism")
    with prism(base) as address:
        yield Judge(address, base / "prism.log")


def _setting(path: str, key: str) -> Callable[[GitHub], object]:
    return lambda forge: forge.setting(path, key=key)


CALLS: dict[str, Callable[[GitHub], object]] = {
    "pull_request": lambda forge: forge.pull_request(1347),
    "pull_requests": lambda forge: forge.pull_requests(branch="plan/a b#?&"),
    "pull_requests of every state": lambda forge: forge.pull_requests(branch="x", state="all"),
    "reviews": lambda forge: list(forge.wire.pages(f"/repos/{NAME}/pulls/1/reviews")),
    "pushes": lambda forge: forge.pushes("plan/a b#?&"),
    "timeline": lambda forge: forge.timeline(1),
    "rights": lambda forge: forge.rights(BOB),
    "is_in_team": lambda forge: forge.is_in_team("acme/core team", BOB),
    "comment": lambda forge: forge.comment(1),
    "comments": lambda forge: forge.comments(1),
    "issue": lambda forge: forge.issue(1),
    "add_comment": lambda forge: forge.add_comment(1, "x"),
    "edit_comment": lambda forge: forge.edit_comment(1, "x"),
    "react": lambda forge: forge.react(1, "eyes"),
    "put_check": lambda forge: forge.put_check(CHECK),
    "open_pull_request": lambda forge: forge.open_pull_request(
        branch="b", base="main", title="t", body="b"
    ),
    "edit_pull_request": lambda forge: forge.edit_pull_request(1, title="t", body="b"),
    **{
        f"setting {path}": _setting(path, key)
        for path, key in {
            "": "",
            "/rules/branches/main": "",
            "/branches/main/protection": "",
            "/actions/permissions/workflow": "",
            "/actions/secrets": "secrets",
            "/actions/organization-secrets": "secrets",
            "/environments/planlock": "",
            "/environments/planlock/secrets": "secrets",
            "/environments/planlock/deployment-branch-policies": "branch_policies",
        }.items()
    },
}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_sent_is_valid(judge: Judge, name: str) -> None:
    """Method, path, query and body are as GitHub describes them, of each of a call's requests."""
    sent, valid = judge.ask(CALLS[name])
    assert sent == valid
    assert sent >= (2 if name == "put_check" else 1)


def test_an_app_asks_for_its_token_as_described(judge: Judge) -> None:
    """The installation, the token, and then what it is for."""
    sent, valid = judge.ask(lambda forge: forge.comment(1), App("12", PEM))
    assert sent == valid == 3


@pytest.mark.parametrize(
    "call",
    [
        lambda forge: forge.pull_requests(branch="x", state="odd"),
        lambda forge: forge.react(1, "applause"),
        lambda forge: forge.wire.send("POST", f"/repos/{NAME}/check-runs", {"head_sha": "a"}),
        lambda forge: forge.wire.get(f"/repos/{NAME}/pulls/one"),
        lambda forge: forge.wire.get(f"/repos/{NAME}/nowhere"),
    ],
)
def test_what_is_not_valid_is_noticed(judge: Judge, call: Callable[[GitHub], object]) -> None:
    """A wrong query, a wrong value, a missing field, a wrong number, a path that nobody has."""
    sent, valid = judge.ask(call)
    assert sent > valid


def test_every_method_that_asks_is_tried() -> None:
    """A new method of the client has to be judged here too, or where queries are."""
    known = {name.partition(" ")[0] for name in CALLS} | {"close", "conversation"}
    queries = {"whoami", "issue_edit"}
    public = {name for name in vars(GitHub) if not name.startswith("_")}
    assert public == known | queries
