"""Who descends from whom, for a whole history in little memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from runner.git.graph import Parents

NONE = -1


class Ancestry:
    """Commits in the order in which they were added, each after its parents.

    Of each only its first parent and how deep it lies are kept beside its id; of merges the other
    parents too.
    """

    def __init__(self, commits: Iterable[tuple[str, Parents]]) -> None:
        self._places: dict[str, int] = {}
        self._ids: list[str] = []
        self._first = array("i")
        self._others: dict[int, tuple[int, ...]] = {}
        self._depths = array("i")
        for commit, parents in commits:
            self._add(commit, [self._places[each] for each in parents])

    def _add(self, commit: str, parents: list[int]) -> None:
        if commit in self._places:
            return
        place = self._places[commit] = len(self._ids)
        self._ids.append(commit)
        self._first.append(parents[0] if parents else NONE)
        self._depths.append(1 + max((self._depths[each] for each in parents), default=0))
        if len(parents) > 1:
            self._others[place] = tuple(parents[1:])

    def __contains__(self, commit: str) -> bool:
        return commit in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def place(self, commit: str) -> int:
        """Its number in the order; raises KeyError."""
        return self._places[commit]

    def parents(self, commit: str) -> Parents:
        """Raises KeyError for a commit that is not known."""
        place = self._places[commit]
        return tuple(self._ids[each] for each in self._above(place))

    def _above(self, place: int) -> tuple[int, ...]:
        first = self._first[place]
        return () if first == NONE else (first, *self._others.get(place, ()))

    def first_parents(self, tip: str) -> Iterator[str]:
        """The line of a branch, newest first; none where the tip is unknown."""
        place = self._places.get(tip, NONE)
        while place != NONE:
            yield self._ids[place]
            place = self._first[place]

    def unmarked(self, marks: bytearray, tips: Iterable[str]) -> Iterator[str]:
        """Mark by place the tips and all before them, and give those that had no mark yet."""
        waiting = [self._places[each] for each in tips if each in self._places]
        while waiting:
            place = waiting.pop()
            if not marks[place]:
                marks[place] = True
                waiting.extend(self._above(place))
                yield self._ids[place]

    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether a commit is another or comes after it; both must be known."""
        if commit not in self._places:
            return False
        return commit == ancestor or bool(self.among([ancestor], [commit]))

    def among(self, wanted: Iterable[str], tips: Iterable[str]) -> frozenset[str]:
        """Those of the wanted that some tip is or descends from; looks no deeper than they lie."""
        places = {self._places[each] for each in wanted if each in self._places}
        if not places:
            return frozenset()
        least = min(self._depths[each] for each in places)
        waiting = [self._places[each] for each in tips if each in self._places]
        seen: set[int] = set()
        while waiting:
            place = waiting.pop()
            if place not in seen and self._depths[place] >= least:
                seen.add(place)
                waiting.extend(self._above(place))
        return frozenset(self._ids[each] for each in seen & places)
