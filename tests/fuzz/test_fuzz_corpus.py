"""What was once odd or wrong stays right, and each target notices a subject that is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fuzz import broken
from tests.fuzz.targets import CORPUS, SUBJECTS, load

MOST_FILES = 40
MOST_BYTES = 50_000


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_stored_inputs_break_nothing(name: str) -> None:
    """Each stored input is replayed."""
    target = load(name)
    assert target.seeds()
    for file in target.seeds():
        target.check(file.read_bytes())


@pytest.mark.parametrize(
    "name,check",
    [pytest.param(name, check, id=f"{name}: {wrong}") for name, wrong, check in broken.CHECKS],
)
def test_a_wrong_subject_is_noticed(name: str, check: Callable[[bytes], None]) -> None:
    """What forgets one of its rules breaks the property for one of the stored inputs."""
    assert any(_breaks(check, file.read_bytes()) for file in load(name).seeds())


def test_every_target_is_known_to_notice() -> None:
    """There is a wrong subject for each target, and a folder of inputs for no other."""
    assert {name for name, _, _ in broken.CHECKS} == set(SUBJECTS)
    assert {folder.name for folder in CORPUS.iterdir()} == set(SUBJECTS)


def test_the_stored_inputs_stay_few_and_small() -> None:
    """They are read in each run of the tests."""
    sizes = {name: [file.stat().st_size for file in load(name).seeds()] for name in SUBJECTS}
    assert max(map(len, sizes.values())) <= MOST_FILES
    assert sum(map(sum, sizes.values())) <= MOST_BYTES


def _breaks(check: Callable[[bytes], None], data: bytes) -> bool:
    try:
        check(data)
    except AssertionError:
        return True
    return False
