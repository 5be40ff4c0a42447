from __future__ import annotations

from typing import Any

import pytest
from gate_cases import EDIT, ask, codes, make_plan, make_policy, step, vote

from runner.core import code_owners
from runner.core.errors import InvalidDocument
from runner.core.policy import PolicyFile

# As docs.github.com explains the format.
EXAMPLE = """\
# Whoever owns nothing else
*       @global-owner1 @global-owner2
*.js    @js-owner #This is an inline comment.
*.go docs@example.com
*.txt @octo-org/octocats
/build/logs/ @doctocat
docs/* docs@example.com
apps/ @octocat
/docs/ @doctocat
/scripts/ @doctocat @octocat
**/logs @octocat
/apps/ @octocat
/apps/github
"""


@pytest.mark.parametrize(
    "path,owners",
    [
        ("README.md", ["@global-owner1", "@global-owner2"]),
        ("deep/down/x.js", ["@js-owner"]),
        ("main.go", ["docs@example.com"]),
        ("a/b.txt", ["@octo-org/octocats"]),
        ("build/logs/x", ["@octocat"]),
        ("build/logs.md", ["@global-owner1", "@global-owner2"]),
        ("sub/apps/x", ["@octocat"]),
        ("docs/getting-started.md", ["@doctocat"]),
        ("docs/build-app/troubleshooting.md", ["@doctocat"]),
        ("scripts/run", ["@doctocat", "@octocat"]),
        ("deeply/nested/logs", ["@octocat"]),
        ("deeply/nested/logs/today", ["@octocat"]),
        ("apps/x", ["@octocat"]),
        ("apps/github", []),
        ("apps/github/x", []),
    ],
)
def test_the_last_line_that_matches_decides(path: str, owners: list[str]) -> None:
    """As in GitHub's own example."""
    found = code_owners.parse(EXAMPLE, file="CODEOWNERS").of(path)
    assert found == ((tuple(owners),) if owners else ())


def test_one_level_is_not_all_levels() -> None:
    """`docs/*` is about the files of that folder, not about those below it."""
    owners = code_owners.parse("docs/* @ada\n", file="CODEOWNERS")
    assert owners.of("docs/x.md") == (("@ada",),)
    assert owners.of("docs/deep/x.md") == ()


@pytest.mark.parametrize(
    "text,path,owners",
    [
        ("* @sec\n/* @top\n", "infra/x", ["@sec"]),
        ("* @sec\n/* @top\n", "x", ["@top"]),
        ("* @sec\n*/ @dirs\n", "x", ["@sec"]),
        ("* @sec\n*/ @dirs\n", "infra/x", ["@dirs"]),
        ("* @sec\n/*\n", "infra/x", ["@sec"]),
        ("/ @all\n", "infra/x", ["@all"]),
    ],
)
def test_the_top_folder_is_not_everything(text: str, path: str, owners: list[str]) -> None:
    """`/*` is about the files at the top, `*/` about folders."""
    assert code_owners.parse(text, file="CODEOWNERS").of(path) == (tuple(owners),)


def test_a_glob_asks_every_line_that_may_be_about_it() -> None:
    """A command that may change several paths needs the owners of each."""
    owners = code_owners.parse("*.py @ada\n/src/ @bob\n/infra/ @carol\n", file="CODEOWNERS")
    assert owners.of("src/**") == (("@ada",), ("@bob",))
    assert owners.of("infra/main.tf") == (("@carol",),)


@pytest.mark.parametrize(
    "text,line",
    [
        ("!*.py @ada", 1),
        ("\n*.[ch] @ada", 2),
        ("\\#x @ada", 1),
        ("* ada", 1),
        ("* @ada, @bob", 1),
        ("* @a/b/c", 1),
    ],
)
def test_what_cannot_be_read_is_a_problem(text: str, line: int) -> None:
    """A line that GitHub would leave out stops everything, with its place."""
    with pytest.raises(InvalidDocument) as caught:
        code_owners.parse(text, file="CODEOWNERS")
    assert [(each.code, each.line) for each in caught.value.problems] == [("code_owners", line)]


def test_teams_are_listed_once() -> None:
    """Whoever asks the forge about members asks once a team."""
    owners = code_owners.parse("* @org/a\n/x @org/a @org/b @ada\n", file="CODEOWNERS")
    assert owners.teams == ("org/a", "org/b")


def _policy(text: str | None = "*.py @ada\n", **more: Any) -> PolicyFile:
    people = [
        {"principal": f"{who}@example.com", "github": {"login": who, "id": number}}
        for number, who in enumerate(("ada", "bob", "cleo", "dan"), 1)
    ]
    found = make_policy(people=people, forge={"code_owners": True}, **more)
    if text is None:
        return found
    owners = code_owners.parse(text, file="CODEOWNERS")
    return PolicyFile(policy=found.policy.with_owners(owners), execution=found.execution)


PLAN = make_plan(EDIT, author="dan@example.com")


def _ask(policy: PolicyFile, *who: str, plan: Any = PLAN, **changes: Any) -> list[str]:
    votes = [vote(each, plan_file=plan, **changes) for each in who]
    return codes(ask(plan=plan, policy=policy, votes=votes, step=0))


def test_an_owner_has_to_approve_besides() -> None:
    """The rules ask for one person, the file for one of its own."""
    assert _ask(_policy(), "bob") == ["approvals_missing", "approval_unfit"]
    assert _ask(_policy(), "ada") == []
    assert _ask(_policy("*.py bob@example.com\n"), "bob") == []


def test_what_nobody_owns_needs_no_owner() -> None:
    """The rules alone decide there."""
    assert _ask(_policy("*.js @ada\n"), "bob") == []


def test_without_the_file_nothing_is_allowed() -> None:
    """The policy asks for owners, and nobody knows whose anything is."""
    assert _ask(_policy(None), "ada") == ["policy_denied"]


def test_a_team_counts_where_the_forge_told_of_it() -> None:
    """A key says nothing of teams; a review says which its author was of."""
    policy = _policy("* @org/core\n", assurance="forge")
    assert "approvals_missing" in _ask(policy, "ada")
    seen = {
        "url": "https://github.com/acme/shop/pull/7#pullrequestreview-80",
        "pull_request": 7,
        "review": 80,
        "account": {"login": "ada", "id": 1},
        "permission": "write",
        "teams": ["Org/Core"],
        "commit": "4" * 40,
        "seen_at": "2026-11-22T10:00:00Z",
    }
    assert _ask(policy, "ada", review=seen, witness="runner@planlock", assurance="forge") == []
    assert "approvals_missing" in _ask(policy, "ada", review=seen)


def test_a_changed_path_needs_its_owner_too() -> None:
    """What a command may change is judged as an edit of it."""
    command = step("check", "run_command", command="make", writes=["src/x.py"])
    plan = make_plan(command, author="dan@example.com")
    assert "approvals_missing" in _ask(_policy(), "bob", plan=plan)
    assert _ask(_policy(), "ada", plan=plan) == []
