"""Play the people of a simulated forge, from anywhere on this machine."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any


class ControlFailed(Exception):
    """The simulator refused; the message says why."""


class ForgeControl:
    """`address` and `token` are those that the simulator told when it started."""

    def __init__(self, address: str, token: str) -> None:
        self.address, self._token = address, token

    def person(self, login: str, **fields: Any) -> str:
        """Add or change an account (`id`, `permission`, `kind`, `teams`, `reads_only`); its token."""
        return str(self._act("person", login=login, **fields)["token"])

    def pushes_as(self, login: str) -> None:
        """Who pushes from now on."""
        self._act("pusher", by=login)

    def open(self, branch: str, *, by: str, **fields: Any) -> int:
        """Open a pull request (`base`, `title`, `body`; of a fork `fork` and `head`)."""
        return int(self._act("pull", branch=branch, by=by, **fields)["number"])

    def close(self, number: int) -> None:
        self._act("close", number=number)

    def retarget(self, number: int, base: str, *, by: str) -> None:
        self._act("retarget", number=number, base=base, by=by)

    def merge(self, number: int) -> None:
        self._act("merge", number=number)

    def review(self, number: int, *, by: str, body: str = "", event: str = "APPROVE") -> int:
        return int(self._act("review", number=number, by=by, body=body, event=event)["id"])

    def edit_review(self, number: int, review: int, body: str) -> None:
        self._act("edit-review", number=number, id=review, body=body)

    def dismiss(self, number: int, review: int, *, by: str) -> None:
        self._act("dismiss", number=number, id=review, by=by)

    def issue(self, *, by: str, title: str, body: str = "") -> int:
        return int(self._act("issue", by=by, title=title, body=body)["number"])

    def edit_issue(self, number: int, body: str, *, by: str) -> None:
        self._act("edit-issue", number=number, body=body, by=by)

    def rename(self, number: int, title: str, *, by: str) -> None:
        self._act("rename", number=number, title=title, by=by)

    def label(self, number: int, label: str, *, by: str) -> None:
        self._act("label", number=number, label=label, by=by)

    def comment(self, number: int, *, by: str, body: str) -> int:
        return int(self._act("comment", number=number, by=by, body=body)["id"])

    def edit_comment(self, comment: int, body: str) -> None:
        self._act("edit-comment", id=comment, body=body)

    def delete_comment(self, comment: int) -> None:
        self._act("delete-comment", id=comment)

    def fail(self, pattern: str, **fault: Any) -> None:
        """Let requests go wrong whose `METHOD path` the pattern finds (see state.Fault)."""
        self._act("fault", pattern=pattern, **fault)

    def settings(self, **settings: Any) -> None:
        self._act("settings", **settings)

    def together(self, *, together: bool) -> None:
        """Hold the clock, so that all that happens has the same second."""
        self._act("together", together=together)

    def get(self, path: str, login: str) -> Any:
        """Read from the API as somebody."""
        return self._send("GET", path, None, f"simulated-{login}")

    def _act(self, name: str, **body: Any) -> dict[str, Any]:
        found = self._send("POST", f"/_simulator/{name}", body, self._token)
        return found if isinstance(found, dict) else {}

    def _send(self, method: str, path: str, body: Any, token: str) -> Any:
        request = urllib.request.Request(  # noqa: S310  # the simulator's own address
            f"{self.address}{path}",
            data=json.dumps(body).encode() if body is not None else None,
            headers={"authorization": f"Bearer {token}"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request) as response:  # noqa: S310  # the same
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            said = error.read().decode("utf-8", "replace")
            raise ControlFailed(f"{method} {path}: HTTP {error.code}: {said}") from error
