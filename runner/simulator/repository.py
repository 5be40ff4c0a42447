"""The bare repository behind the forge: what moved since the last look, seen as a server sees it."""

from __future__ import annotations

from pathlib import Path

from runner.git import command, refs
from runner.git.refs import Move
from runner.simulator.state import Event, Pull, Push, Refusal, State, Thread

HEADS = "refs/heads/"
NOTHING = "0" * 40


def branch_tip(git_dir: Path, branch: str) -> str:
    """The commit of a branch; raises Refusal where there is none."""
    found = refs.read(git_dir, HEADS + branch)
    if found is None:
        raise Refusal(422, f"Validation Failed: no branch {branch}")
    return found


def look(state: State, git_dir: Path) -> None:
    """Note every branch that moved, as pushed by the present pusher, and what follows from it."""
    now = refs.under(git_dir, HEADS)
    for ref in sorted({*now, *state.refs}):
        before, after = state.refs.get(ref, ""), now.get(ref, "")
        if before != after:
            _moved(state, git_dir, ref, before, after)
    state.refs = now


def _moved(state: State, git_dir: Path, ref: str, before: str, after: str) -> None:
    kind = _kind(git_dir, before, after)
    at = state.tick()
    state.pushes.insert(
        0,
        Push(
            id=state.new_id(),
            actor=state.pusher,
            at=at,
            kind=kind,
            ref=ref,
            before=before or NOTHING,
            after=after or NOTHING,
        ),
    )
    for thread in state.threads.values():
        pull = thread.pull
        if pull and thread.is_open and _is_of(state, pull, ref) and after:
            _advance(state, git_dir, thread, kind=kind, head=after)


def _is_of(state: State, pull: Pull, ref: str) -> bool:
    return pull.repository == state.repository and ref == HEADS + pull.branch


def _kind(git_dir: Path, before: str, after: str) -> str:
    if not before:
        return "branch_creation"
    if not after:
        return "branch_deletion"
    done = command.attempt(["merge-base", "--is-ancestor", before, after], git_dir=git_dir)
    return "push" if done.returncode == 0 else "force_push"


def _advance(state: State, git_dir: Path, thread: Thread, *, kind: str, head: str) -> None:
    """Give a pull request its new head, as GitHub does: equal patches keep their approvals."""
    pull = thread.pull
    if pull is None:
        return
    old, pull.head = pull.head, head
    keep_head(git_dir, thread.number, head)
    if kind == "force_push":
        more = {"commit_id": head}
        thread.events.append(
            Event(name="head_ref_force_pushed", at=state.tick(), actor=state.pusher, more=more)
        )
    else:
        thread.events.append(Event(name="committed", at=None, actor=None, more={"sha": head}))
    is_same = kind == "force_push" and _patch(git_dir, pull.base, old) == _patch(
        git_dir, pull.base, head
    )
    for review in pull.reviews:
        if is_same and review.commit == old:
            review.commit = head
        elif state.settings.get("dismiss_stale") and review.state == "APPROVED":
            review.state = "DISMISSED"


def _patch(git_dir: Path, base: str, head: str) -> bytes:
    """The id of a patch, whatever it stands on; the text itself where there is none."""
    diff = command.attempt(["diff", f"{HEADS}{base}...{head}"], git_dir=git_dir).stdout
    found = command.attempt(["patch-id", "--stable"], git_dir=git_dir, stdin=diff).stdout
    return found.split(b" ")[0] if found else diff


def keep_head(git_dir: Path, number: int, head: str) -> None:
    """Where a pull request's head is fetched from, be it from a fork."""
    ref = f"refs/pull/{number}/head"
    old = refs.read(git_dir, ref)
    if old != head:
        refs.move(git_dir, [Move(ref=ref, old=old, new=head)], reason="pull request")


def merge(state: State, git_dir: Path, thread: Thread, pull: Pull) -> None:
    """Merge as the button does, by a commit with two parents."""
    base = branch_tip(git_dir, pull.base)
    tree = command.run(["merge-tree", "--write-tree", base, pull.head], git_dir=git_dir)
    who = {"name": state.pusher.login, "email": f"{state.pusher.login}@users.noreply.github.com"}
    env = {
        f"GIT_{role}_{name.upper()}": value
        for role in ("AUTHOR", "COMMITTER")
        for name, value in who.items()
    }
    words = ["commit-tree", tree.decode().split("\n")[0], "-p", base, "-p", pull.head]
    message = f"Merge pull request #{thread.number}"
    made = command.run([*words, "-m", message], git_dir=git_dir, env=env).decode().strip()
    refs.move(git_dir, [Move(ref=HEADS + pull.base, old=base, new=made)], reason="merge")
    pull.is_merged, thread.is_open = True, False
    look(state, git_dir)
