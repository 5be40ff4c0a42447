"""`planlock router serve` as people start and stop it: processes, ports, settings."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from team import Result, call

SOURCE = Path(__file__).parents[2]
SCRIPT = """\
version: 1
answers:
  - {match: "2+2", answer: four, tokens: {input: 10, output: 2}, cost_usd: "0.02"}
"""
ASK = {"messages": [{"role": "user", "content": "2+2?"}]}
PROGRAM = "import sys; from runner.cli.main import main; main(sys.argv[1:])"
# A missing package is what an import of None is.
WITHOUT = "import sys; sys.modules['uvicorn'] = None; " + PROGRAM


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Nothing but a home and a script of answers; the folder is no repository."""
    (tmp_path / "script.yaml").write_text(SCRIPT)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(SOURCE),
        "PLANLOCK_MODEL_SCRIPT": str(tmp_path / "script.yaml"),
    }


@contextlib.contextmanager
def started(
    environment: Mapping[str, str], *options: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the service on a free port; give process and address."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "router", "serve", "--port", "0", *options],
        cwd=environment["HOME"],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line + process.stderr.read()
        yield process, found.group()
    finally:
        process.kill()
        process.wait(10)
        process.stderr.close()


def serve(environment: Mapping[str, str], *options: str) -> Result:
    """Call the command where it is refused before it serves."""
    return call(Path(environment["HOME"]), environment, "router", "serve", *options)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_peace(environment: dict[str, str], number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the service with exit code 0 and no trace, after calls are done."""
    with started(environment) as (process, url):
        assert httpx.post(f"{url}/v1/complete", json=ASK).json()["text"] == "four"
        assert httpx.get(f"{url}/readyz").status_code == 200
        process.send_signal(number)
        assert process.stderr is not None
        rest = process.stderr.read()
        assert process.wait(10) == 0
    assert "complete custom: 200" in rest
    assert "Traceback" not in rest
    assert "2+2" not in rest


def test_answers_are_kept_among_the_users_state(environment: dict[str, str]) -> None:
    """Outside of a repository the store lies below XDG_STATE_HOME, and answers once asked."""
    state = Path(environment["HOME"]) / "state"
    with started({**environment, "XDG_STATE_HOME": str(state)}) as (_, url):
        first, second = (httpx.post(f"{url}/v1/complete", json=ASK).json() for _ in range(2))
    assert [each["cache"]["status"] for each in (first, second)] == ["miss", "hit"]
    assert list((state / "planlock" / "models").rglob("*.json"))


def test_several_workers_count_together(environment: dict[str, str]) -> None:
    """With two processes the counters of both are told, and a signal ends all."""
    body = {**ASK, "cache": {"mode": "off"}}
    with started(environment, "--workers", "2", "--day-usd", "0.10") as (process, url):
        codes = [httpx.post(f"{url}/v1/complete", json=body).status_code for _ in range(7)]
        text = httpx.get(f"{url}/metrics").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    assert codes == [200] * 5 + [402] * 2
    assert 'planlock_router_cache_total{status="miss"} 5.0' in text


def test_a_port_that_is_taken_is_told(environment: dict[str, str]) -> None:
    """A port in use is exit code 5, with the address and another try."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = serve(environment, "--port", str(port))
    assert result.code == 5
    assert f"listening on 127.0.0.1:{port}: Address already in use" in result.err
    assert "--port" in result.err


def test_others_may_ask_with_a_token_only(environment: dict[str, str]) -> None:
    """An address that others reach is refused without a token."""
    result = serve(environment, "--host", "0.0.0.0", "--port", "0")  # noqa: S104  # it is refused
    assert result.code == 2
    assert "PLANLOCK_ROUTER_TOKEN" in result.err


def test_a_router_does_not_ask_a_router(environment: dict[str, str]) -> None:
    """PLANLOCK_ROUTER_URL, which could name the service itself, is refused."""
    result = serve({**environment, "PLANLOCK_ROUTER_URL": "http://127.0.0.1:8000"}, "--port", "0")
    assert result.code == 2
    assert "unset PLANLOCK_ROUTER_URL" in result.err


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_wrong_configuration_is_told_before_it_serves(
    environment: dict[str, str], workers: str
) -> None:
    """A broken file of models ends the command with its problems, before any worker starts."""
    broken = Path(environment["HOME"]) / "models.yaml"
    broken.write_text("version: 1\nprovider: []\n")
    told = {**environment, "PLANLOCK_MODELS": str(broken)}
    result = serve(told, "--port", "0", "--workers", workers)
    assert result.code == 1
    assert "provider" in result.err


def test_without_the_extra_it_says_what_to_install(environment: dict[str, str]) -> None:
    """Without the server's packages the command names the extra."""
    argv = [sys.executable, "-c", WITHOUT, "router", "serve"]
    done = subprocess.run(
        argv, cwd=environment["HOME"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    assert "the package uvicorn is not installed" in done.stderr
    assert "pip install 'planlock[server]'" in done.stderr


def test_readiness_tells_that_no_model_is_configured(environment: dict[str, str]) -> None:
    """With nothing configured the service runs, is not ready, and says no_route."""
    del environment["PLANLOCK_MODEL_SCRIPT"]
    with started(environment) as (_, url):
        assert httpx.get(f"{url}/healthz").status_code == 200
        ready, asked = httpx.get(f"{url}/readyz"), httpx.post(f"{url}/v1/complete", json=ASK)
    for each in (ready, asked):
        assert (each.status_code, each.json()["code"]) == (503, "no_route")
        assert each.json()["error"]["hint"] == "planlock doctor"
