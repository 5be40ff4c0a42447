from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from model_answers import MODEL, answered, keep, question, structured

from runner.core.errors import FileAccessError, InvalidDocument, ReplayMiss
from runner.core.model_call import ask_digest, request_key
from runner.models.store import Store

OTHER = "openai/gpt-6-luna"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state" / "models")


def test_an_answer_comes_back_as_it_was(store: Store) -> None:
    """What was put under a question and a model is what they give."""
    for request in (question(), structured()):
        answer = answered(request)
        keep(store, request, answer)
        assert store.get(ask_digest(request), request_key(request, MODEL)) == answer


def test_nothing_is_stored_for_another_question_or_model(store: Store) -> None:
    """One word, one parameter or the model makes another address."""
    request = question()
    keep(store, request, answered(request))
    assert store.get(ask_digest(request), request_key(request, OTHER)) is None
    other = question("Why not?")
    assert store.get(ask_digest(other), request_key(other, MODEL)) is None


def test_without_a_model_the_only_answer_is_given(store: Store) -> None:
    """Where nothing is configured a question may have one answer; two are a miss that says so."""
    request = question()
    ask = ask_digest(request)
    assert store.get(ask, None) is None
    keep(store, request, answered(request, "One."))
    found = store.get(ask, None)
    assert found is not None
    assert found.text == "One."
    keep(store, request, answered(request, "Two.", model=OTHER), model=OTHER)
    with pytest.raises(ReplayMiss, match="2 models answered") as caught:
        store.get(ask, None)
    assert "--model" in caught.value.hint


def test_the_layout_is_stated_and_private(store: Store) -> None:
    """The place is made of the two digests, and only the owner may read it."""
    request = question()
    path = store.folder / keep(store, request, answered(request))
    ask, key = ask_digest(request)[7:], request_key(request, MODEL)[7:]
    assert path == store.folder / ask[:2] / ask / f"{key}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    for folder in (path.parent, path.parent.parent, store.folder):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_file_holds_question_and_answer_in_order(store: Store) -> None:
    """The file is sorted JSON with version, addresses, the request as asked and the answer."""
    request = structured("Wörter")
    path = store.folder / keep(store, request, answered(request))
    value = json.loads(path.read_text())
    assert list(value) == ["answer", "ask", "key", "request", "version"]
    assert value["version"] == 1
    assert value["request"]["messages"] == [{"role": "user", "content": "Wörter"}]
    assert value["request"]["schema"] == {"maximum": 1.5, "type": "object"}


@pytest.mark.parametrize("change", ["message", "schema", "ask", "key", "version", "unknown"])
def test_a_planted_file_answers_no_other_question(store: Store, change: str) -> None:
    """A stored answer whose request is not the one of its address is refused by name."""
    request = structured()
    path = store.folder / keep(store, request, answered(request))
    value = json.loads(path.read_text())
    changes = {
        "message": lambda: value["request"]["messages"][0].update(content="Other?"),
        "schema": lambda: value["request"].pop("schema"),
        "ask": lambda: value.update(ask="sha256:" + "0" * 64),
        "key": lambda: value.update(key="sha256:" + "0" * 64),
        "version": lambda: value.update(version=2),
        "unknown": lambda: value["request"].update(tools=[]),
    }
    changes[change]()
    path.write_text(json.dumps(value))
    with pytest.raises(InvalidDocument, match="is no stored answer") as caught:
        store.get(ask_digest(request), request_key(request, MODEL))
    assert caught.value.problems[0].file == str(path)
    assert caught.value.hint == f"rm {path}, then ask again"


def test_an_answer_moved_to_another_question_is_refused(store: Store) -> None:
    """A whole and true file does not count at an address that is not its own."""
    request, other = question(), question("Other?")
    path = store.folder / keep(store, request, answered(request))
    target = store.folder / keep(store, other, answered(other))
    target.write_bytes(path.read_bytes())
    with pytest.raises(InvalidDocument, match="another question than its place"):
        store.get(ask_digest(other), request_key(other, MODEL))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"request": {}}', b"\xff", b"[" * 100_000, b'{"request": {"a": NaN}}'],
    ids=["empty", "cut", "list", "no-messages", "not-utf8", "deep", "nan"],
)
def test_a_damaged_file_is_refused_by_name(store: Store, content: bytes) -> None:
    """Whatever lies there instead of an answer, the error names the file."""
    request = question()
    path = store.folder / keep(store, request, answered(request))
    path.write_bytes(content)
    for key in (request_key(request, MODEL), None):
        with pytest.raises(InvalidDocument) as caught:
            store.get(ask_digest(request), key)
        assert caught.value.problems[0].file == str(path)


def test_links_and_pipes_are_not_followed(store: Store) -> None:
    """A link to a true answer is refused, and a pipe does not hang."""
    request = question()
    path = store.folder / keep(store, request, answered(request))
    real = path.rename(store.folder / "real")
    path.symlink_to(real)
    with pytest.raises(FileAccessError, match=path.name):
        store.get(ask_digest(request), request_key(request, MODEL))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InvalidDocument, match="no regular file"):
        store.get(ask_digest(request), request_key(request, MODEL))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file where the folder should be is an error with the path, not a crash."""
    (tmp_path / "models").write_text("")
    store, request = Store(tmp_path / "models"), question()
    with pytest.raises(FileAccessError, match="keeping answer"):
        keep(store, request, answered(request))
    with pytest.raises(FileAccessError, match="reading stored answer"):
        store.get(ask_digest(request), request_key(request, MODEL))


def test_a_later_answer_replaces_an_earlier_one_as_a_whole(store: Store) -> None:
    """Readers beside several writers see one whole answer or another, never a part."""
    request = question()
    ask, key = ask_digest(request), request_key(request, MODEL)
    answers = [answered(request, letter * 50_000) for letter in "abcd"]
    keep(store, request, answers[0])

    def write(number: int) -> None:
        for _ in range(10):
            store.put(request, ask=ask, key=key, answer=answers[number])

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for each in writers:
        each.start()
    while any(each.is_alive() for each in writers):
        assert store.get(ask, key) in answers
    for each in writers:
        each.join()
    assert len(list((store.folder / ask[7:9] / ask[7:]).iterdir())) == 1


def test_every_entry_is_listed_in_order_and_strangers_are_not(store: Store) -> None:
    """Addresses are sorted; a scratch file or foreign folder is not one."""
    kept = [keep(store, question(str(n)), answered(question(str(n)))) for n in range(5)]
    (store.folder / "semantic").mkdir()
    (store.folder / "note.txt").write_text("hi")
    (store.folder / kept[0][:2] / "stray").write_text("hi")
    (store.folder / kept[0]).with_name(".scratch").write_text("half")
    assert store.addresses() == sorted(kept)
    assert [entry.answer.text for entry in store.every()] == ["Because."] * 5


def test_what_is_no_digest_makes_no_path(store: Store) -> None:
    """An address is made of digests only, so nothing leads out of the folder."""
    with pytest.raises(ValueError, match="not two digests"):
        store.get("sha256:../../../etc/passwd", None)
