"""GitHub's REST API and its queries, as far as planlock asks them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.simulator import acts, shapes
from runner.simulator.shapes import Shapes, when
from runner.simulator.state import Account, Check, Refusal, State


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked by whom; `parts` are the changing parts of the path."""

    who: Account
    parts: tuple[str, ...]
    query: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def number(self) -> int:
        return int(self.parts[0])


@dataclass(frozen=True, kw_only=True)
class Page:
    """A list, to be given in pages; inside of an object where it has a `key`."""

    items: list[dict[str, Any]]
    key: str = ""


class Rest:
    """`answer` finds the route and gives a body, or a Page; raises Refusal."""

    def __init__(self, state: State, git_dir: Path, address: str) -> None:
        self._state, self._git_dir = state, git_dir
        self._shapes, self._address = Shapes(state, address), address
        repo = f"/repos/{re.escape(state.repository)}"
        self._routes: list[tuple[str, re.Pattern[str], Callable[[Request], Any]]] = [
            (method, re.compile(path.replace("{}", r"([^/]+)")), route)
            for method, path, route in (
                ("GET", repo, self._repository),
                ("GET", f"{repo}/pulls", self._pulls),
                ("POST", f"{repo}/pulls", self._open),
                ("GET", f"{repo}/pulls/{{}}", self._pull),
                ("PATCH", f"{repo}/pulls/{{}}", self._edit_pull),
                ("GET", f"{repo}/pulls/{{}}/reviews", self._reviews),
                ("GET", f"{repo}/activity", self._activity),
                ("GET", f"{repo}/collaborators/{{}}/permission", self._permission),
                ("GET", f"{repo}/issues/{{}}", self._issue),
                ("GET", f"{repo}/issues/{{}}/timeline", self._timeline),
                ("GET", f"{repo}/issues/{{}}/comments", self._comments),
                ("POST", f"{repo}/issues/{{}}/comments", self._add_comment),
                ("GET", f"{repo}/issues/comments/{{}}", self._comment),
                ("PATCH", f"{repo}/issues/comments/{{}}", self._edit_comment),
                ("POST", f"{repo}/issues/comments/{{}}/reactions", self._react),
                ("GET", f"{repo}/issues/comments/{{}}/reactions", self._reactions),
                ("POST", f"{repo}/check-runs", self._check),
                ("PATCH", f"{repo}/check-runs/{{}}", self._add_to_check),
                ("GET", f"{repo}/commits/{{}}/check-runs", self._checks),
                ("GET", "/orgs/{}/teams/{}/memberships/{}", self._membership),
                ("POST", "/graphql", self._query),
                ("GET", f"{repo}/(.+)", self._setting),
            )
        ]

    def answer(self, method: str, path: str, request: Callable[[tuple[str, ...]], Request]) -> Any:
        for wanted, pattern, route in self._routes:
            found = pattern.fullmatch(path)
            if wanted == method and found:
                asked = request(found.groups())
                if method != "GET" and path != "/graphql" and asked.who.reads_only:
                    raise Refusal(403, "Resource not accessible by integration")
                return route(asked)
        raise Refusal(404, "Not Found")

    def _repository(self, _: Request) -> Any:
        return self._shapes.repository()

    def _pulls(self, asked: Request) -> Any:
        wanted, head = asked.query.get("state", "open"), asked.query.get("head", "")
        owner, _, branch = head.partition(":")
        found = []
        for thread in reversed(self._state.threads.values()):
            pull = thread.pull
            if pull is None or wanted not in {"all", "open" if thread.is_open else "closed"}:
                continue
            if not head or (pull.repository.partition("/")[0], pull.branch) == (owner, branch):
                found.append(self._shapes.pull(thread, pull))
        return Page(items=found)

    def _open(self, asked: Request) -> Any:
        body = asked.body
        thread = acts.open_pull(
            self._state,
            self._git_dir,
            by=asked.who,
            branch=str(body["head"]),
            base=str(body["base"]),
            title=str(body["title"]),
            body=str(body.get("body", "")),
        )
        return 201, self._shapes.pull(*self._state.pull(thread.number))

    def _pull(self, asked: Request) -> Any:
        return self._shapes.pull(*self._state.pull(asked.number))

    def _edit_pull(self, asked: Request) -> Any:
        thread, pull = self._state.pull(asked.number)
        thread.title = str(asked.body.get("title", thread.title))
        thread.body = str(asked.body.get("body", thread.body))
        return self._shapes.pull(thread, pull)

    def _reviews(self, asked: Request) -> Any:
        thread, pull = self._state.pull(asked.number)
        return Page(items=[self._shapes.review(thread, each) for each in pull.reviews])

    def _activity(self, asked: Request) -> Any:
        ref = asked.query.get("ref", "")
        full = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
        found = [each for each in self._state.pushes if not ref or each.ref == full]
        return Page(items=[self._shapes.push(each) for each in found])

    def _permission(self, asked: Request) -> Any:
        account = self._state.accounts.get(asked.parts[0])
        if account is None:
            raise Refusal(404, "Not Found")
        return {
            "permission": account.permission,
            "role_name": account.permission,
            "user": {**(self._shapes.account(account) or {}), "role_name": account.permission},
        }

    def _issue(self, asked: Request) -> Any:
        return self._shapes.issue(self._state.thread(asked.number))

    def _timeline(self, asked: Request) -> Any:
        events = self._state.thread(asked.number).events
        return Page(items=[self._shapes.event(each) for each in events])

    def _comments(self, asked: Request) -> Any:
        thread = self._state.thread(asked.number)
        return Page(items=[self._shapes.comment(thread, each) for each in thread.comments])

    def _add_comment(self, asked: Request) -> Any:
        thread = self._state.thread(asked.number)
        made = acts.add_comment(self._state, thread, by=asked.who, body=str(asked.body["body"]))
        return 201, self._shapes.comment(thread, made)

    def _comment(self, asked: Request) -> Any:
        return self._shapes.comment(*self._state.comment(asked.number))

    def _edit_comment(self, asked: Request) -> Any:
        thread, comment = self._state.comment(asked.number)
        if comment.author is not asked.who:
            raise Refusal(403, "Must have write access to edit this comment")
        acts.edit_comment(self._state, comment, str(asked.body["body"]))
        return self._shapes.comment(thread, comment)

    def _react(self, asked: Request) -> Any:
        _, comment = self._state.comment(asked.number)
        mine = asked.who, str(asked.body["content"])
        is_new = mine not in comment.reactions
        if is_new:
            comment.reactions.append(mine)
        return 201 if is_new else 200, self._reaction(*mine)

    def _reactions(self, asked: Request) -> Any:
        _, comment = self._state.comment(asked.number)
        return [self._reaction(*each) for each in comment.reactions]

    def _reaction(self, who: Account, content: str) -> Any:
        return shapes.reaction(self._state.new_id(), self._shapes.account(who), content)

    def _check(self, asked: Request) -> Any:
        body = asked.body
        output = {"annotations": [], **body["output"]}
        made = Check(
            id=self._state.new_id(),
            name=str(body["name"]),
            commit=str(body["head_sha"]),
            conclusion=str(body["conclusion"]),
            output=output,
            author=asked.who,
        )
        self._state.checks.append(made)
        return 201, self._shapes.check(made)

    def _add_to_check(self, asked: Request) -> Any:
        for each in self._state.checks:
            if each.id == asked.number:
                each.output["annotations"] += asked.body["output"]["annotations"]
                return self._shapes.check(each)
        raise Refusal(404, "Not Found")

    def _checks(self, asked: Request) -> Any:
        found = [each for each in self._state.checks if each.commit == asked.parts[0]]
        return Page(items=[self._shapes.check(each) for each in found], key="check_runs")

    def _membership(self, asked: Request) -> Any:
        organisation, team, login = asked.parts
        account = self._state.accounts.get(login)
        if account is None or f"{organisation}/{team}" not in account.teams:
            raise Refusal(404, "Not Found")
        place = f"{self._address}/orgs/{organisation}/teams/{team}/memberships/{login}"
        return {"url": place, "role": "member", "state": "active"}

    def _setting(self, asked: Request) -> Any:
        """What was set for a path below the repository's own, such as `rules/branches/main`."""
        found = self._state.settings.get(asked.parts[0])
        if found is None:
            raise Refusal(404, "Not Found")
        return Page(items=found) if isinstance(found, list) else found

    def _query(self, asked: Request) -> Any:
        query, variables = str(asked.body.get("query", "")), asked.body.get("variables", {})
        if "planlockViewer" in query:
            who = {"login": asked.who.login, "databaseId": asked.who.id}
            return {"data": {"viewer": who}}
        if "planlockIssue" in query:
            thread = self._state.thread(int(variables["number"]))
            edit: dict[str, Any] = {"lastEditedAt": None, "editor": None}
            if thread.edited_at is not None and thread.editor is not None:
                edited = when(thread.edited_at)
                edit = {"lastEditedAt": edited, "editor": {"login": thread.editor.login}}
            return {"data": {"repository": {"issue": edit}}}
        if "planlockReviewEdits" not in query:
            return {"errors": [{"message": "the simulator does not know this query"}]}
        _, pull = self._state.pull(int(variables["number"]))
        start = int(variables.get("after") or 0)
        some = pull.reviews[start : start + 100]
        nodes = [
            {
                "fullDatabaseId": str(each.id),
                "lastEditedAt": when(each.edited_at) if each.edited_at else None,
                "state": each.state,
            }
            for each in some
        ]
        end = start + len(some)
        page = {"hasNextPage": end < len(pull.reviews), "endCursor": str(end)}
        reviews = {"nodes": nodes, "pageInfo": page}
        return {"data": {"repository": {"pullRequest": {"reviews": reviews}}}}
