"""The token of an https home: sent to that host, to nobody else, and written nowhere."""

from __future__ import annotations

import base64
import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from https_site import make_certificate
from team import surroundings

from runner.git import home_url

TOKEN = "t0ken-of-the-home"
WANTED = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


@dataclass
class Host:
    """A server that asks for nothing, says no, or leads elsewhere; `came` has authorizations."""

    port: int = 0
    leads_to: str = ""
    came: list[str] = field(default_factory=list)


@contextmanager
def hosting(scratch: Path, host: Host) -> Iterator[Host]:
    authority = make_certificate(scratch / "host.pem")
    (scratch / "authority.pem").write_bytes(authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(scratch / "host.pem")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.came.append(self.headers.get("authorization", ""))
            self.send_response(302 if host.leads_to else 404)
            if host.leads_to:
                self.send_header("location", f"{host.leads_to}{self.path}")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as the base names it
            """Tests say what matters."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        host.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield host
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, str]:
    """An environment with a token for the home."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        home_url.TOKEN_VARIABLE: TOKEN,
    }


def ask(folder: Path, environment: dict[str, str], url: str) -> str:
    trust = ["-c", f"http.sslCAInfo={folder / 'authority.pem'}"]
    with surroundings(folder, environment):
        done = home_url.reach(url, [*trust, "ls-remote", "--upload-pack=git-upload-pack"])
    assert done.returncode != 0
    return (done.stdout + done.stderr).decode()


def test_the_home_gets_the_token(tmp_path: Path, asked: dict[str, str]) -> None:
    """As GitHub takes it, and no message repeats it."""
    with hosting(tmp_path, Host()) as host:
        said = ask(tmp_path, asked, f"https://127.0.0.1:{host.port}/acme/shop")
    assert host.came
    assert set(host.came) == {WANTED}, said
    assert TOKEN not in said
    assert WANTED not in said


def test_where_the_home_leads_nobody_gets_it(tmp_path: Path, asked: dict[str, str]) -> None:
    """A redirect is not followed while there is a token."""
    (tmp_path / "other").mkdir()
    with hosting(tmp_path / "other", Host()) as other, hosting(tmp_path, Host()) as host:
        host.leads_to = f"https://127.0.0.1:{other.port}"
        ask(tmp_path, asked, f"https://127.0.0.1:{host.port}/acme/shop")
    assert host.came
    assert other.came == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "ssh://git@127.0.0.1/x", "/tmp/x"])
def test_other_transports_have_no_token(url: str, asked: dict[str, str], tmp_path: Path) -> None:
    """In plain text it would be everybody's."""
    with surroundings(tmp_path, asked):
        assert home_url._credentials(url) == {}  # noqa: SLF001  # what is given to git


def test_a_url_with_its_own_user_keeps_that(asked: dict[str, str], tmp_path: Path) -> None:
    """Whoever wrote credentials into the URL means those."""
    with surroundings(tmp_path, asked):
        assert home_url._credentials("https://me:x@127.0.0.1/x") == {}  # noqa: SLF001  # the same
