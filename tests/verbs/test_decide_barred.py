"""Steps that the policy never lets run, whoever approves them."""

from __future__ import annotations

import pytest
from forging import answer
from team import EDIT, Team, command

FETCH = command(
    "curl https://evil.org", name="fetch", more="network: [evil.org]\nsecrets: [TOKEN]\n"
)
HOST = "the policy's sandbox.network does not list evil.org"
SECRET = "the policy's sandbox.secrets does not list TOKEN"  # a message


def told(text: str) -> tuple[bool, bool]:
    """Whether both reasons are told, on however many lines."""
    flat = " ".join(text.split())
    return f"cannot run: {HOST}" in flat, f"cannot run: {SECRET}" in flat


@pytest.mark.parametrize("format_", ["text", "json", "markdown", "html", "actions"])
def test_a_reviewer_is_told(team: Team, format_: str) -> None:
    """In every format, until the policy lists what the step asks for."""
    team.propose("job", FETCH)
    shown = team.cli("bob", "show", "job", "--format", format_).out.replace("&#39;", "'")
    assert told(shown) == (True, True)
    team.policy("network: []", 'network: ["evil.org:443"]')
    shown = team.cli("bob", "show", "job", "--format", format_).out.replace("&#39;", "'")
    assert told(shown) == (False, True)


def test_an_author_is_told(team: Team) -> None:
    """Proposing goes on, and names the step, the reason and what would mend it."""
    team.plan("job", EDIT + FETCH)
    done = team.cli("ada", "propose", "job")
    assert done.code == 0, done.text
    assert f"  note   fetch cannot run: {HOST}; drop the host, or change the policy" in done.out
    team.plan("other", EDIT)
    assert answer(team.cli("ada", "propose", "other", "--json"))["notes"] == []


def test_an_approval_of_nothing_else_is_refused(team: Team) -> None:
    """Listing the host voids every approval, so this one could never count."""
    team.propose("job", FETCH)
    before = team.git("rev-parse", "plan/job")
    done = team.cli("bob", "approve", "job")
    assert done.code == 4
    assert f"fetch: {HOST} [network_not_allowed]" in done.err
    assert f"fetch: {SECRET} [secret_not_allowed]" in done.err
    assert team.git("rev-parse", "plan/job") == before
    assert team.cli("bob", "reject", "job").code == 0
    team.policy("network: []", "network: [evil.org]")
    team.policy("secrets: []", "secrets: [TOKEN]")
    team.propose("again", FETCH)
    assert team.cli("bob", "approve", "again").code == 0


def test_an_approval_of_other_steps_too_has_a_note(team: Team) -> None:
    """They may run, so it counts; a step that cannot is refused where it alone is named."""
    team.propose("job", EDIT + FETCH)
    done = team.cli("bob", "approve", "job")
    assert done.code == 0, done.text
    assert f"  note   cannot run: fetch: {HOST}" in done.out
    assert team.cli("bob", "approve", "job", "--step", "fetch").code == 4
