"""The control room: what people do on the forge, asked for by whoever plays them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runner.simulator import acts, repository
from runner.simulator.state import Account, Fault, Pull, Refusal, State, Thread

Body = Mapping[str, Any]


class Controls:
    """`act` does what a name stands for, and gives ids; raises Refusal."""

    def __init__(self, state: State, git_dir: Path) -> None:
        self._state, self._git_dir = state, git_dir
        self._acts: dict[str, Callable[[Body], Any]] = {
            "person": self._person,
            "pusher": self._pusher,
            "pull": self._pull,
            "close": self._close,
            "retarget": self._retarget,
            "merge": self._merge,
            "review": self._review,
            "edit-review": self._edit_review,
            "dismiss": self._dismiss,
            "issue": self._issue,
            "edit-issue": self._edit_issue,
            "rename": self._rename,
            "label": self._label,
            "comment": self._comment,
            "edit-comment": self._edit_comment,
            "delete-comment": self._delete_comment,
            "fault": self._fault,
            "settings": self._settings,
            "together": self._together,
        }

    def act(self, name: str, body: Body) -> Any:
        if name not in self._acts:
            raise Refusal(404, f"there is no control {name}")
        return self._acts[name](body)

    def _who(self, body: Body) -> Account:
        found = self._state.accounts.get(str(body["by"]))
        if found is None:
            raise Refusal(422, f"there is no account {body['by']}")
        return found

    def _thread(self, body: Body) -> Thread:
        return self._state.thread(int(body["number"]))

    def _of_pull(self, body: Body) -> tuple[Thread, Pull]:
        return self._state.pull(int(body["number"]))

    def _person(self, body: Body) -> Any:
        fields = {
            name: body[name] for name in ("id", "permission", "kind", "reads_only") if name in body
        }
        found = self._state.account(str(body["login"]), **fields)
        if "teams" in body:
            found.teams = set(body["teams"])
        return {"id": found.id, "token": found.token}

    def _pusher(self, body: Body) -> Any:
        self._state.pusher = self._who(body)
        return {}

    def _pull(self, body: Body) -> Any:
        thread = acts.open_pull(
            self._state,
            self._git_dir,
            by=self._who(body),
            branch=str(body["branch"]),
            base=str(body.get("base", "main")),
            title=str(body.get("title", body["branch"])),
            body=str(body.get("body", "")),
            fork=str(body.get("fork", "")),
            head=str(body.get("head", "")),
        )
        return {"number": thread.number}

    def _close(self, body: Body) -> Any:
        self._thread(body).is_open = False
        return {}

    def _retarget(self, body: Body) -> Any:
        acts.retarget(self._state, self._thread(body), str(body["base"]), by=self._who(body))
        return {}

    def _merge(self, body: Body) -> Any:
        thread, pull = self._of_pull(body)
        repository.merge(self._state, self._git_dir, thread, pull)
        return {}

    def _review(self, body: Body) -> Any:
        made = acts.review(
            self._state,
            self._thread(body),
            by=self._who(body),
            event=str(body.get("event", "APPROVE")),
            body=str(body.get("body", "")),
        )
        return {"id": made.id}

    def _edit_review(self, body: Body) -> Any:
        _, pull = self._of_pull(body)
        found = acts.find_review(pull, int(body["id"]))
        found.body, found.edited_at = str(body["body"]), self._state.tick()
        return {}

    def _dismiss(self, body: Body) -> Any:
        thread, pull = self._of_pull(body)
        found = acts.find_review(pull, int(body["id"]))
        acts.dismiss(self._state, thread, found, by=self._who(body))
        return {}

    def _issue(self, body: Body) -> Any:
        title, text = str(body["title"]), str(body.get("body", ""))
        made = acts.open_issue(self._state, by=self._who(body), title=title, body=text)
        return {"number": made.number}

    def _edit_issue(self, body: Body) -> Any:
        thread = self._thread(body)
        thread.body, thread.editor = str(body["body"]), self._who(body)
        thread.edited_at = self._state.tick()
        return {}

    def _rename(self, body: Body) -> Any:
        title, who = str(body["title"]), self._who(body)
        acts.rename(self._state, self._thread(body), title, by=who)
        return {}

    def _label(self, body: Body) -> Any:
        acts.label(self._state, self._thread(body), str(body["label"]), by=self._who(body))
        return {}

    def _comment(self, body: Body) -> Any:
        text, who = str(body["body"]), self._who(body)
        return {"id": acts.add_comment(self._state, self._thread(body), by=who, body=text).id}

    def _edit_comment(self, body: Body) -> Any:
        _, found = self._state.comment(int(body["id"]))
        acts.edit_comment(self._state, found, str(body["body"]))
        return {}

    def _delete_comment(self, body: Body) -> Any:
        thread, found = self._state.comment(int(body["id"]))
        thread.comments.remove(found)
        return {}

    def _fault(self, body: Body) -> Any:
        self._state.faults.append(Fault(**body))
        return {}

    def _settings(self, body: Body) -> Any:
        self._state.settings |= body
        return {}

    def _together(self, body: Body) -> Any:
        self._state.together = bool(body["together"])
        return {}
