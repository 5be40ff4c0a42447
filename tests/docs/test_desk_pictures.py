from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

import pytest

from tests.docs import desk_pictures
from tests.docs.desk_pictures import FOLDER, HEADS


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in desk_pictures.BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        reason = "no browser: apt-get install chromium"
        if os.environ.get("PLANLOCK_TEST_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return desk_pictures.played(tmp_path_factory.mktemp("pictures"))


@pytest.mark.parametrize("name", HEADS)
def test_the_pictures_show_what_planlock_writes(texts: Mapping[str, str], name: str) -> None:
    """Each was drawn of the very text that a pull request gets now: tests.docs.generate."""
    shown = desk_pictures.source_of((FOLDER / f"{name}.png").read_bytes())
    assert shown == desk_pictures.digest(texts[name])


@pytest.mark.parametrize("name", HEADS)
def test_a_real_browser_shows_the_text(browser: str, texts: Mapping[str, str], name: str) -> None:
    """The Markdown through GitHub's parser, as a page: the tables and diffs are elements."""
    page = desk_pictures.page(texts[name], HEADS[name])
    shown = desk_pictures.browse(browser, page, "--dump-dom").decode()
    assert "<table>" in shown
    assert "<details" in shown
    picture = desk_pictures.draw(browser, texts[name], HEADS[name])
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000
