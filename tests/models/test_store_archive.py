from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_answers import MODEL, answered, keep, question, structured

from runner.core.errors import FileAccessError, InvalidDocument, PlanlockError, Refused
from runner.core.model_call import ask_digest, request_key
from runner.models.store import Store
from runner.models.store_archive import Imported, export, import_


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of three answers."""
    made = Store(tmp_path / "one")
    for request in (question("a"), question("b"), structured("c")):
        keep(made, request, answered(request))
    return made


def test_an_export_brings_everything_to_another_machine(store: Store, tmp_path: Path) -> None:
    """What was answered here is answered there, in files of the same bytes."""
    there = Store(tmp_path / "two")
    assert export(store, tmp_path / "x.zip") == 3
    assert import_(there, tmp_path / "x.zip") == Imported(added=3, known=0, replaced=0)
    request = question("a")
    address = (ask_digest(request), request_key(request, MODEL))
    assert there.get(*address) == store.get(*address)
    for each in store.addresses():
        assert (there.folder / each).read_bytes() == (store.folder / each).read_bytes()
    assert import_(there, tmp_path / "x.zip") == Imported(added=0, known=3, replaced=0)


def test_equal_stores_give_equal_bytes(store: Store, tmp_path: Path) -> None:
    """Neither the order in which answers came nor the time changes an export."""
    other = Store(tmp_path / "two")
    for request in (structured("c"), question("b"), question("a")):
        keep(other, request, answered(request))
    export(store, tmp_path / "x.zip")
    export(other, tmp_path / "y.zip")
    assert (tmp_path / "x.zip").read_bytes() == (tmp_path / "y.zip").read_bytes()
    assert (tmp_path / "x.zip").stat().st_mode & 0o777 == 0o600


def test_an_export_overwrites_nothing(store: Store, tmp_path: Path) -> None:
    """A file that exists stays as it is."""
    (tmp_path / "x.zip").write_text("mine")
    with pytest.raises(FileAccessError, match="it exists"):
        export(store, tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_text() == "mine"
    with pytest.raises(FileAccessError, match="exporting to"):
        export(store, tmp_path / "no" / "x.zip")


def test_a_damaged_answer_is_not_exported(store: Store, tmp_path: Path) -> None:
    """An export is whole or is not made at all."""
    (store.folder / store.addresses()[0]).write_text("{}")
    with pytest.raises(InvalidDocument, match="is no stored answer"):
        export(store, tmp_path / "x.zip")
    assert [each.name for each in tmp_path.iterdir()] == ["one"]


def test_a_differing_answer_is_never_replaced_silently(store: Store, tmp_path: Path) -> None:
    """The import is refused as a whole, naming what differs, unless replacing was asked for."""
    export(store, tmp_path / "x.zip")
    there, request = Store(tmp_path / "two"), question("a")
    keep(there, request, answered(request, "Mine."))
    with pytest.raises(Refused) as caught:
        import_(there, tmp_path / "x.zip")
    assert [each.code for each in caught.value.reasons] == ["answer_differs"]
    assert len(there.addresses()) == 1
    done = import_(there, tmp_path / "x.zip", replace=True)
    assert done == Imported(added=2, known=0, replaced=1)
    found = there.get(ask_digest(request), request_key(request, MODEL))
    assert found is not None
    assert found.text == "Because."


def archive(path: Path, names: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as made:
        for name, data in names.items():
            made.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "name", ["../../evil", "/etc/passwd", "a", f"aa/{'b' * 64}/{'c' * 64}.json", "aa/../x.json"]
)
def test_a_name_that_leads_elsewhere_is_refused(store: Store, tmp_path: Path, name: str) -> None:
    """Only the places of stored answers come in, whatever an archive calls its entries."""
    before = store.addresses()
    with pytest.raises(InvalidDocument, match="is not the place of a stored answer"):
        import_(store, archive(tmp_path / "x.zip", {name: b"{}"}))
    assert store.addresses() == before


def test_a_bomb_is_refused_before_it_is_unpacked(store: Store, tmp_path: Path) -> None:
    """Compressed entries are none of ours, and what overlaps would be larger than its file."""
    address = store.addresses()[0]
    bomb = archive(tmp_path / "x.zip", {address: b"0" * 10_000_000}, zipfile.ZIP_DEFLATED)
    with pytest.raises(InvalidDocument, match="compressed"):
        import_(store, bomb)
    flat = archive(tmp_path / "y.zip", {address: b"0" * 1000})
    grown = flat.read_bytes().replace((1000).to_bytes(4, "little"), b"\xff\xff\xff\x02")
    flat.write_bytes(grown)
    with pytest.raises(InvalidDocument, match="larger than itself"):
        import_(store, flat)


def test_an_entry_that_answers_another_question_is_refused(store: Store, tmp_path: Path) -> None:
    """Each entry is checked against its own address before anything is written."""
    first, second = store.addresses()[:2]
    data = {each: (store.folder / each).read_bytes() for each in (first, second)}
    there = Store(tmp_path / "two")
    with pytest.raises(InvalidDocument, match="another question"):
        import_(there, archive(tmp_path / "x.zip", {first: data[first], second: data[first]}))
    assert there.addresses() == []


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip file"])
def test_what_is_no_archive_is_refused(store: Store, tmp_path: Path, content: bytes) -> None:
    """The message says what would make an export."""
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(InvalidDocument, match="is no export") as caught:
        import_(store, tmp_path / "x.zip")
    assert caught.value.hint == "planlock models export FILE"
    with pytest.raises(FileAccessError, match="no such file"):
        import_(store, tmp_path / "nothing.zip")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1))
def test_a_bent_archive_is_refused_or_harmless(
    store: Store, tmp_path: Path, changes: list[tuple[int, int]]
) -> None:
    """Whatever bytes are changed, nothing but a stated refusal, or the same answers, comes out."""
    whole = tmp_path / "whole.zip"
    if not whole.exists():
        export(store, whole)
    bent = bytearray(whole.read_bytes())
    for place, value in changes:
        bent[-1 - place % len(bent)] = value
    (tmp_path / "bent.zip").write_bytes(bent)
    there = Store(tmp_path / "two")
    try:
        import_(there, tmp_path / "bent.zip", replace=True)
    except PlanlockError:
        return
    assert all(entry.answer for entry in there.every())
