from __future__ import annotations

from typing import Any

import pytest
from fake_context import Files
from hypothesis import given
from hypothesis import strategies as st

from runner.core.canonical import sha256_text
from runner.core.errors import StepFailed
from runner.core.plan import EditFileInput
from runner.steps.edit_file import EditFile, apply, pin


def edit(**fields: Any) -> EditFileInput:
    return EditFileInput.model_validate({"path": "a.py", **fields})


def replacing(*pairs: tuple[str, str]) -> EditFileInput:
    return edit(edits=[{"search": old, "replace": new} for old, new in pairs])


class TestApply:
    def test_new_content_replaces_the_file(self) -> None:
        """Whatever was there before, and if nothing was."""
        for before in (None, b"old", b"\xff"):
            assert apply(edit(new_content="neu\n"), before) == b"neu\n"

    def test_edits_are_made_one_after_the_other(self) -> None:
        """A later edit sees what the earlier ones left."""
        assert apply(replacing(("a", "bb"), ("bbc", "d")), b"ac") == b"d"

    @pytest.mark.parametrize("text,count", [(b"xyz", 0), (b"a a", 2)])
    def test_a_search_text_must_occur_once(self, text: bytes, count: int) -> None:
        """An ambiguous or missing place fails, with the number of the edit."""
        with pytest.raises(StepFailed, match=f"edit 1: the search text occurs {count} times"):
            apply(replacing(("a", "b")), text)

    def test_a_missing_file_cannot_be_edited_or_deleted(self) -> None:
        """There is nothing to search in, and nothing to delete."""
        with pytest.raises(StepFailed, match="does not exist"):
            apply(replacing(("a", "b")), None)
        with pytest.raises(StepFailed, match="deleting"):
            apply(edit(delete=True), None)
        assert apply(edit(delete=True), b"x") is None

    def test_C07_binary_content_is_not_edited_as_text(self) -> None:
        """A file that is not UTF-8 is reported with the place of the first bad byte."""
        with pytest.raises(StepFailed, match="not UTF-8 text at byte 1"):
            apply(replacing(("a", "b")), b"a\xff")

    def test_an_instruction_alone_cannot_be_applied(self) -> None:
        """It is refused with what to write instead."""
        with pytest.raises(StepFailed, match="an instruction and no text yet") as caught:
            apply(edit(instruction="do"), b"")
        assert caught.value.hint.startswith("write new_content or edits")

    @given(st.text(), st.text(min_size=1), st.text(), st.text())
    def test_an_edit_changes_only_its_place(self, head: str, old: str, new: str, tail: str) -> None:
        """What stands before and after the search text stays, byte for byte."""
        text = head + old + tail
        if text.count(old) == 1:
            assert apply(replacing((old, new)), text.encode()) == (head + new + tail).encode()


class TestPreview:
    @pytest.mark.parametrize(
        "fields,before,line,after",
        [
            ({"new_content": "x"}, None, "create a.py", b"x"),
            ({"new_content": "x"}, b"y", "change a.py", b"x"),
            ({"delete": True}, b"y", "delete a.py", None),
        ],
    )
    def test_the_effect_is_shown(
        self, fields: dict[str, Any], before: bytes | None, line: str, after: bytes | None
    ) -> None:
        """A reviewer sees whether a file is made, changed or deleted, and its new content."""
        shown = EditFile().preview(edit(**fields), lambda _: before)
        assert (shown.line, shown.before, shown.after, shown.trouble) == (line, before, after, "")

    def test_a_stale_pin_is_trouble(self) -> None:
        """An edit written against other content is told, and nothing is simulated."""
        shown = EditFile().preview(edit(new_content="x", replaces="absent"), lambda _: b"y")
        assert shown.trouble == "stale: a.py is not the file that the edit was written against"
        assert shown.after is None

    def test_an_instruction_is_shown_without_a_diff(self) -> None:
        """What is asked for, and that the text will be seen; a stale pin is trouble here too."""
        shown = EditFile().preview(edit(instruction="Do it"), lambda _: b"y")
        assert (shown.line, shown.path, shown.trouble) == ("draft a.py", None, "")
        assert dict(shown.details)["instruction"] == "Do it"
        stale = EditFile().preview(edit(instruction="Do it", replaces="absent"), lambda _: b"y")
        assert stale.trouble.startswith("stale:")

    def test_an_edit_that_does_not_fit_is_trouble(self) -> None:
        """The reason why it does not apply is shown instead of a diff."""
        assert "occurs 0 times" in EditFile().preview(replacing(("a", "b")), lambda _: b"").trouble


class TestExecute:
    def test_content_pin_and_mode_are_handed_on(self) -> None:
        """The workspace is asked to replace exactly the pinned content."""
        files = Files({"a.py": b"old"})
        given_ = edit(new_content="new", replaces=pin(b"old"), mode="0755")
        (change,) = EditFile().execute(files.context(), given_).changes
        assert files.content == {"a.py": b"new"}
        assert files.asked == [("a.py", sha256_text(b"old"), 0o755)]
        assert change.path == "a.py"

    def test_edits_read_what_is_there(self) -> None:
        """Search and replace work on the workspace's file."""
        files = Files({"a.py": b"one two"})
        EditFile().execute(files.context(), replacing(("one", "1")))
        assert files.content == {"a.py": b"1 two"}

    def test_a_deletion_removes(self) -> None:
        """The pin is held against the file that goes."""
        files = Files({"a.py": b"x"})
        EditFile().execute(files.context(), edit(delete=True, replaces=pin(b"x")))
        assert files.content == {}


def test_a_pin_says_absent_or_the_digest() -> None:
    """What `replaces` says of a file is `absent` where there is none."""
    assert pin(None) == "absent"
    assert pin(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
