"""Where two trees differ, read no deeper than they do."""

from __future__ import annotations

from collections.abc import Iterator

from runner.git.objects import FOLDER, Entry, ObjectStore


def paths(store: ObjectStore, old: str, new: str, prefix: str = "") -> Iterator[str]:
    """Yield each file, link and submodule that only one tree has, or that differs."""
    if old == new:
        return
    before, after = store.tree(old), store.tree(new)
    for name in {**before, **after}:
        was, now = before.get(name), after.get(name)
        if was == now:
            continue
        if was and now and was.mode == now.mode == FOLDER:
            yield from paths(store, was.oid, now.oid, f"{prefix}{name}/")
        else:
            yield from {*_below(store, was, prefix + name), *_below(store, now, prefix + name)}


def _below(store: ObjectStore, entry: Entry | None, path: str) -> Iterator[str]:
    if entry and entry.mode == FOLDER:
        yield from (inner for inner, _ in store.walk(entry.oid, f"{path}/"))
    elif entry:
        yield path
