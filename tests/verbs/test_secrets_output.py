"""Secrets among hosts, and in output that has no end."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from team import Team, command

from runner.core import documents

pytestmark = pytest.mark.usefixtures("confined")

NAME = "DEPLOY_TO"
HOST = "harbour-71-zq8"
MARK = "[redacted: secret]"
ASK = """
import os, urllib.request
for host in (os.environ["DEPLOY_TO"] + ".example.com", "other.example.com"):
    try:
        urllib.request.urlopen("http://" + host + "/", timeout=5)
    except OSError as error:
        print(host, error)
"""
LINE = "head -c 100000000 /dev/zero | tr '\\0' x; printf %s \"$DEPLOY_TO\"; echo"
MEASURED = """
import resource, sys
from runner.cli.main import main

def peak(*args):
    try:
        main(list(args))
    except SystemExit as end:
        assert not end.code, end.code
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

small = peak("run", "small")
print("grown", peak("run", "large") - small, file=sys.stderr)
"""


def record(team: Team, plan: str) -> dict[str, object]:
    text = team.show_file(f"planlock/{plan}/1", f"plans/{plan}/runs/1/001-check.yaml")
    value: dict[str, object] = documents.parse((text + "\n").encode(), file="x").value
    return value


def test_E04_a_secret_in_a_host_is_not_recorded(team: Team) -> None:
    """What a command asks the proxy for is recorded without the secret that it put there."""
    team.policy("secrets: []", f"secrets: [{NAME}]")
    team.policy("network: []", "network: [example.com]")
    more = f"secrets: [{NAME}]\nnetwork: [example.com]\n"
    team.propose("job", command(f"python3 -c '{ASK}'", more=more))
    team.approve("bob", "job")
    done = team.cli("ada", "run", "job", "--json", env={NAME: HOST})
    assert done.code == 0, done.text
    contacts = json.dumps(record(team, "job")["contacts"])
    assert f"{MARK}.example.com" in contacts
    assert "other.example.com" in contacts
    story = team.cli("ada", "log", "job")
    assert f"{MARK}.example.com" in story.out
    assert HOST not in contacts + done.text + story.text + team.git("log", "-p", "--all")


def test_E05_a_line_of_100_mb_stays_bounded(team: Team) -> None:
    """The runner holds little of it at any time, the record keeps both ends, without the secret."""
    team.policy("secrets: []", f"secrets: [{NAME}]")
    for name, script in (("small", "echo small"), ("large", LINE)):
        team.propose(name, command(script, more=f"secrets: [{NAME}]\n"))
        team.approve("bob", name)
    environment = team.environment("ada", {NAME: HOST})
    done = subprocess.run(
        [sys.executable, "-c", MEASURED],
        cwd=team.root,
        env=environment | {"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    grown_kb = int(done.stderr.rpartition(b"grown ")[2])
    assert grown_kb < 40_000
    assert HOST.encode() not in done.stdout + done.stderr
    output = record(team, "large")["output"]
    assert isinstance(output, dict)
    assert output["truncated"]
    assert output["length"] == 100_000_000 + len(MARK) + 1
    assert output["text"].endswith(f"xxx{MARK}\n")
    assert len(output["text"]) < 70_000
