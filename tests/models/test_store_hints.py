"""Commands that are shown for copying when stored answers are in the way."""

from __future__ import annotations

import shlex
import zipfile
from pathlib import Path

import pytest
from model_answers import MODEL, answered, keep, question

from runner.core.errors import FileAccessError, InvalidDocument
from runner.core.model_call import ask_digest, request_key
from runner.models.store import Store
from runner.models.store_archive import export, import_

ODD = "a b; touch x"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / ODD / "store")
    keep(made, question(), answered(question()))
    return made


def test_the_name_of_a_damaged_answer_is_one_word(store: Store) -> None:
    """Whatever its folder is called, copying the command removes that file alone."""
    path = store.folder / store.addresses()[0]
    path.write_text("{}")
    with pytest.raises(InvalidDocument) as caught:
        store.get(ask_digest(question()), request_key(question(), MODEL))
    command = caught.value.hint.removesuffix(", then ask again")
    assert shlex.split(command) == ["rm", str(path)]


def test_the_name_of_an_export_that_exists_is_one_word(store: Store, tmp_path: Path) -> None:
    """The hint removes what is in the way and nothing else."""
    target = tmp_path / ODD / "x.zip"
    target.write_text("mine")
    with pytest.raises(FileAccessError) as caught:
        export(store, target)
    command = caught.value.hint.removeprefix("name another file, or: ")
    assert shlex.split(command) == ["rm", str(target)]


def test_a_damaged_answer_in_an_export_is_not_for_removing(store: Store, tmp_path: Path) -> None:
    """The export is named as the file, its entry in the message, and a new export is the way."""
    source = tmp_path / "x.zip"
    address = store.addresses()[0]
    with zipfile.ZipFile(source, "w") as made:
        made.writestr(address, "{}")
    with pytest.raises(InvalidDocument, match="is no stored answer") as caught:
        import_(store, source)
    (problem,) = caught.value.problems
    assert problem.file == str(source)
    assert address in problem.message
    assert caught.value.hint == "planlock models export FILE"
