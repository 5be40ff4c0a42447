"""Programs that people use reach a declared host, as they are, and no other."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from https_site import NAME, Site, https_site
from sandbox_run import Run, bound

from runner.sandbox.bubblewrap import Bubblewrap
from runner.sandbox.commands import Backend, Command, Limits, Outcome, Room

# How each program is told whom to trust.
TRUST = dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"), "authority.pem")
PROGRAMS = {
    "curl": "curl -fsS https://HOST/hello",
    "wget": "wget -qO- --ca-certificate=authority.pem https://HOST/hello",
    "git": "git clone -q https://HOST/kit.git out && cat out/hello",
    "npm": "npm view --fetch-retries 0 --cafile authority.pem --registry https://HOST/npm kit description",
    "urllib": 'python -c "import urllib.request as r, sys; '
    "sys.stdout.buffer.write(r.urlopen('https://HOST/hello').read())\"",
    "httpx": "python -c \"import httpx; print(httpx.get('https://HOST/hello').text)\"",
    "pip": "python -m pip --isolated install -q --retries 0 --disable-pip-version-check --no-cache-dir "
    "--target out --cert authority.pem --index-url https://HOST/simple kit && cat out/kit.py",
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A page, a git repository, a Python package and a description of an npm one."""
    folder = tmp_path / "www"
    folder.mkdir()
    (folder / "hello").write_text("hello there\n")
    publish_repository(folder, tmp_path / "source")
    publish_wheel(folder / "simple" / "kit")
    (folder / "npm").mkdir()
    version = {"name": "kit", "version": "1.0.0", "description": "hello there"}
    package = {"name": "kit", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    (folder / "npm" / "kit").write_text(json.dumps(package))
    with https_site(folder, tmp_path) as served:
        yield served


def publish_repository(folder: Path, source: Path) -> None:
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-C", str(source)]
    subprocess.run(["git", "init", "-q", str(source)], check=True)
    shutil.copy(folder / "hello", source)
    subprocess.run([*git, "add", "hello"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "First"], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", source, folder / "kit.git"], check=True)
    subprocess.run(["git", "-C", folder / "kit.git", "update-server-info"], check=True)


def publish_wheel(folder: Path) -> None:
    folder.mkdir(parents=True)
    name = "kit-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr("kit.py", "# hello there\n")
        wheel.writestr(
            "kit-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: kit\nVersion: 1.0\n"
        )
        wheel.writestr("kit-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("kit-1.0.dist-info/RECORD", "")
    (folder / "index.html").write_text(f'<a href="{name}">{name}</a>')


@pytest.fixture
def run_here(confined: Backend, room: Room, site: Site) -> Run:
    """Where `site.test` leads to this machine."""
    assert confined.has_proxy
    (room.workspace / "authority.pem").write_bytes(site.authority)
    return bound(Bubblewrap(resolve=lambda *_: ["127.0.0.1"]), room)


def fetch(run: Run, program: str, site: Site, *hosts: str) -> Outcome:
    """With the hosts declared, the program asks the site."""
    needed = PROGRAMS[program].split()[0]
    if needed != "python" and not shutil.which(needed, path="/usr/local/bin:/usr/bin:/bin"):
        pytest.skip(f"{needed} is not installed")
    script = PROGRAMS[program].replace("HOST", site.host)
    return run(Command(script=script, env=TRUST, network=hosts, limits=Limits(timeout_s=60)))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_reaches_a_declared_host(run_here: Run, program: str, site: Site) -> None:
    """Without options it goes through the proxy, speaks TLS with the host itself, and is recorded."""
    outcome = fetch(run_here, program, site, site.host, f"127.0.0.1:{site.port}")
    assert b"hello there" in outcome.output, outcome
    assert outcome.exit_code == 0
    [contact] = outcome.contacts
    assert (contact.host, contact.allowed, contact.reason) == (site.host, True, "")
    assert contact.sent > 500
    assert contact.received > 700


@pytest.mark.parametrize("program", PROGRAMS)
def test_D05_a_program_reaches_no_other(run_here: Run, program: str, site: Site) -> None:
    """A host that is not declared is refused, and the program fails."""
    outcome = fetch(run_here, program, site, "other.test", f"127.0.0.1:{site.port}")
    assert b"hello there" not in outcome.output
    assert outcome.exit_code not in {0, None}
    assert {(contact.host, contact.allowed) for contact in outcome.contacts} == {(site.host, False)}


def test_a_connection_by_address(run_here: Run, site: Site) -> None:
    """A declared address can be asked for as such, also where programs spare local ones a proxy."""
    script = f"curl -fsS --noproxy '' https://127.0.0.1:{site.port}/hello"
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    outcome = run_here(Command(script=script, env=TRUST, network=(f"127.0.0.1:{site.port}",)))
    assert outcome.output == b"hello there\n"
    assert NAME not in outcome.contacts[0].host
