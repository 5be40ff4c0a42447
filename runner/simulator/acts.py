"""What people do on a forge: open, review, dismiss, comment, label."""

from __future__ import annotations

from pathlib import Path

from runner.simulator import repository
from runner.simulator.shapes import state_of
from runner.simulator.state import (
    Account,
    Comment,
    Event,
    Pull,
    Refusal,
    Review,
    State,
    Thread,
)


def open_issue(state: State, *, by: Account, title: str, body: str) -> Thread:
    thread = Thread(
        number=state.next_number(), author=by, title=title, body=body, created_at=state.tick()
    )
    state.threads[thread.number] = thread
    return thread


def open_pull(  # noqa: PLR0913  # a pull request has these parts
    state: State,
    git_dir: Path,
    *,
    by: Account,
    branch: str,
    base: str,
    title: str,
    body: str,
    fork: str = "",
    head: str = "",
) -> Thread:
    """Open one of a branch here, or with `fork` of a commit that lies elsewhere."""
    head = head or repository.branch_tip(git_dir, branch)
    repository.branch_tip(git_dir, base)
    pull = Pull(repository=fork or state.repository, branch=branch, base=base, head=head)
    for each in state.threads.values():
        other = each.pull
        if (
            each.is_open
            and other
            and (other.repository, other.branch, other.base)
            == (
                pull.repository,
                branch,
                base,
            )
        ):
            raise Refusal(422, "Validation Failed: A pull request already exists")
    thread = open_issue(state, by=by, title=title, body=body)
    thread.pull = pull
    repository.keep_head(git_dir, thread.number, head)
    return thread


def review(state: State, thread: Thread, *, by: Account, event: str, body: str) -> Review:
    """Submit a review of the present head; nobody approves their own pull request."""
    pull = thread.pull
    if pull is None:
        raise Refusal(404, "Not Found")
    if by is thread.author and event != "COMMENT":
        raise Refusal(422, "Unprocessable Entity: Can not approve your own pull request")
    made = Review(
        id=state.new_id(),
        author=by,
        state=state_of(event),
        body=body,
        commit=pull.head,
        submitted_at=state.tick(),
    )
    pull.reviews.append(made)
    thread.events.append(Event(name="reviewed", at=made.submitted_at, actor=by))
    return made


def find_review(pull: Pull, number: int) -> Review:
    for each in pull.reviews:
        if each.id == number:
            return each
    raise Refusal(404, "Not Found")


def dismiss(state: State, thread: Thread, found: Review, *, by: Account) -> None:
    found.state = "DISMISSED"
    thread.events.append(Event(name="review_dismissed", at=state.tick(), actor=by))


def retarget(state: State, thread: Thread, base: str, *, by: Account) -> None:
    if thread.pull:
        thread.pull.base = base
        thread.events.append(Event(name="base_ref_changed", at=state.tick(), actor=by))


def add_comment(state: State, thread: Thread, *, by: Account, body: str) -> Comment:
    at = state.tick()
    made = Comment(id=state.new_id(), author=by, body=body, created_at=at, updated_at=at)
    thread.comments.append(made)
    thread.events.append(Event(name="commented", at=at, actor=by))
    return made


def edit_comment(state: State, comment: Comment, body: str) -> None:
    comment.body, comment.updated_at = body, state.tick()


def label(state: State, thread: Thread, name: str, *, by: Account) -> None:
    if name not in thread.labels:
        thread.labels.append(name)
    more = {"label": {"name": name, "color": "ededed"}}
    thread.events.append(Event(name="labeled", at=state.tick(), actor=by, more=more))


def rename(state: State, thread: Thread, title: str, *, by: Account) -> None:
    more = {"rename": {"from": thread.title, "to": title}}
    thread.title = title
    thread.events.append(Event(name="renamed", at=state.tick(), actor=by, more=more))
