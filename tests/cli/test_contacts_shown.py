"""Whom a command reached, and whom it only asked for."""

from __future__ import annotations

import socket

import pytest
from team import Team, command

pytestmark = pytest.mark.usefixtures("confined")

ASK = """
import http.client, os, sys, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["https_proxy"])
for host in sys.argv[1:]:
    name, port = host.split(":")
    connection = http.client.HTTPConnection(proxy.hostname, proxy.port)
    connection.set_tunnel(name, int(port))
    try:
        connection.connect()
    except OSError as error:
        print(host, error)
"""


def test_only_whom_a_command_reached_is_contacted(team: Team) -> None:
    """In the text and the formats; who was refused or not there was asked for."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        there, gone = (f"127.0.0.1:{each.getsockname()[1]}" for each in (server, closed))
        team.policy("network: []", f"network: ['{there}', '{gone}']")
        asked = f"python3 -c '{ASK}' {there} {gone} evil.example:443"
        team.propose("job", command(asked, more=f"network: ['{there}', '{gone}']\n"))
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job").code == 0
    text = team.cli("bob", "log", "job").out
    assert f"    contacted: {there} (1 connection(s), " in text
    assert f"    asked for: {gone} not reached: " in text
    assert "    asked for: evil.example:443 refused: " in text
    assert text.count("contacted:") == 1
    html = team.cli("bob", "log", "job", "--format", "html").out
    assert f"<dt>contacted</dt><dd><code>{there} (" in html
    assert "<dt>asked for</dt><dd><code>evil.example:443 refused: " in html
