"""docs/router.md says what the service does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
from router_service import answer, app_over, serving

from runner.api import metrics, problems, router_docs
from runner.api.router_app import Bounds
from runner.core.model_call import Request
from tests.docs.markdown import blocks

PAGE = (Path(__file__).parents[2] / "docs" / "router.md").read_text(encoding="utf-8")


def test_every_status_and_code_is_on_the_page() -> None:
    """The table of errors has what the API's description has, and what lies below it."""
    described = {
        (int(status), code)
        for call in (router_docs.COMPLETE, router_docs.STRUCTURE)
        for status, response in call["responses"].items()
        for code in response["content"].get(problems.MEDIA_TYPE, {}).get("examples", {})
    }
    rows = re.findall(r"^\| ([0-9]{3}) \| `([a-z_]+)` \|", PAGE, re.MULTILINE)
    told = {(int(status), code) for status, code in rows}
    elsewhere = {(404, "not_found"), (500, "ledger_failed"), (500, "file_access")}
    assert told == described - {(415, "bad_request")} | elsewhere


def test_every_counter_is_on_the_page() -> None:
    """The table of counters has each that `/metrics` has."""
    shown = metrics.Metrics().text().decode()
    there = set(re.findall(r"^# HELP (planlock_router_\w+)", shown, re.MULTILINE))
    told = set(re.findall(r"^\| `(planlock_router_\w+)` \|", PAGE, re.MULTILINE))
    assert {name for name in there if not name.endswith("_created")} == told


def test_the_example_of_an_error_is_one() -> None:
    """The page's problem document is what the service would write."""
    text = next(block.text for block in blocks(PAGE) if block.language == "json")
    shown = json.loads(text)
    assert problems.example(402, shown["error"]) == shown


def test_the_example_of_a_call_is_one() -> None:
    """The body in the page's curl command is a request that the service answers."""
    found = re.search(r"-d '(.*?)'", PAGE, re.DOTALL)
    assert found
    body = json.loads(found[1])
    assert Request.model_validate(body).context.project == "calc"
    with serving(app_over(answer)) as url:
        assert httpx.post(f"{url}/v1/complete", json=body).status_code == 200


def test_bounds_are_as_the_page_says() -> None:
    """The numbers of the page are those of the code."""
    bounds = Bounds()
    assert "within 30 s" in PAGE
    assert (bounds.calls, bounds.body_bytes, bounds.body_s) == (64, 16_000_000, 30)
