"""HTTP to one provider: bounded in time and size, its failures told apart.

Redirects are not followed (the key would go along), `.netrc` is not read, and a server on this
machine is never asked through a proxy.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import httpx

from runner import __version__
from runner.models.contract import Failure
from runner.models.http_failures import Trouble, one_line, read_trouble, told

MAX_BODY: Final = 16 * 2**20
MAX_ERROR_BODY: Final = 64 * 2**10
MAX_PORT: Final = 65_535
CONNECT_S: Final = 10
LIST_S: Final = 10
_LOOPBACK: Final = ("all://127.0.0.1", "all://localhost", "all://0.0.0.0", "all://[::1]")


class Wire:
    """`headers` go with every request; `secret` is what no message may contain."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secret: str = "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url.rstrip("/")
        self.secret = secret
        self._headers = {
            "user-agent": f"planlock/{__version__}",
            # a small compressed body can be a huge one
            "accept-encoding": "identity",
            **(headers or {}),
        }
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._opened: httpx.Client | None = None

    def get(self, path: str, *, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Fetch a JSON object; raises Failure."""
        request = self._client.build_request(
            "GET", self._address(path), params=params, timeout=_timeouts(LIST_S)
        )
        return self._whole(request, timeout_s=LIST_S)

    def post(self, path: str, body: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Send JSON, receive a JSON object; raises Failure."""
        return self._whole(self._posting(path, body, timeout_s), timeout_s=timeout_s)

    def lines(self, path: str, body: Mapping[str, Any], *, timeout_s: float) -> Iterator[str]:
        r"""Send JSON, receive lines; only `\n` ends one, U+2028 inside a text does not."""
        request = self._posting(path, body, timeout_s)
        with self._sent(request, timeout_s=timeout_s) as (response, deadline):
            held: list[bytes] = []
            for chunk in self._chunks(response, deadline):
                first, *rest = chunk.split(b"\n")
                held.append(first)
                for each in rest:
                    yield _text(b"".join(held))
                    held = [each]
            yield _text(b"".join(held))

    def limit(self, timeout_s: float) -> Callable[[], float]:
        """Give what tells how many seconds are left."""
        end = self._monotonic() + timeout_s
        return lambda: end - self._monotonic()

    def close(self) -> None:
        with self._lock:
            if self._opened:
                self._opened.close()
            self._opened = None

    @property
    def _client(self) -> httpx.Client:
        with self._lock:
            if self._opened is None:
                self._opened = httpx.Client(
                    headers=self._headers,
                    follow_redirects=False,
                    verify=_certificates(),
                    mounts=dict.fromkeys(_LOOPBACK),
                )
            return self._opened

    def _address(self, path: str) -> httpx.URL:
        try:
            url = httpx.URL(f"{self.url}/{path.lstrip('/')}")
        except httpx.InvalidURL as error:
            raise _no_address(error) from None
        if url.port and url.port > MAX_PORT:
            raise _no_address(f"there is no port {url.port}")
        return url

    def _posting(self, path: str, body: Mapping[str, Any], timeout_s: float) -> httpx.Request:
        return self._client.build_request(
            "POST",
            self._address(path),
            content=json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
            headers={"content-type": "application/json"},
            timeout=_timeouts(timeout_s),
        )

    def _whole(self, request: httpx.Request, *, timeout_s: float) -> dict[str, Any]:
        with self._sent(request, timeout_s=timeout_s) as (response, deadline):
            return parse_object(_text(b"".join(self._chunks(response, deadline))))

    @contextmanager
    def _sent(
        self, request: httpx.Request, *, timeout_s: float
    ) -> Iterator[tuple[httpx.Response, float]]:
        """A response of status 2xx, its body yet to be read by the deadline; closed at the end."""
        deadline = self._monotonic() + timeout_s
        try:
            response = self._send(request, timeout_s)
            try:
                if not response.is_success:
                    raise told(self._trouble(response, deadline))
                yield response, deadline
            finally:
                response.close()
        except httpx.TransportError as error:
            raise _transport_failure(error, request.url, self.secret) from None

    def _send(self, request: httpx.Request, timeout_s: float) -> httpx.Response:
        """Wait for the headers: a server may send them byte by byte, and each starts httpx anew."""
        client = self._client
        outcome: Future[httpx.Response] = Future()

        def send() -> None:
            try:
                outcome.set_result(client.send(request, stream=True))
            except BaseException as error:  # noqa: BLE001  # it is raised by whoever waits
                outcome.set_exception(error)

        threading.Thread(target=send, daemon=True).start()
        try:
            return outcome.result(timeout_s)
        except TimeoutError:
            outcome.add_done_callback(_drop)
            raise Failure("timeout", f"{_host(request.url)} gave no whole answer in time") from None
        except UnicodeError as error:
            # a host whose parts are too long for the name service
            raise _no_address(error) from None

    def _trouble(self, response: httpx.Response, deadline: float) -> Trouble:
        """Read an error; its status is enough where its words do not come in time."""
        body = b""
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > MAX_ERROR_BODY or self._monotonic() > deadline:
                break
        headers = {name.lower(): value for name, value in response.headers.items()}
        return read_trouble(
            response.status_code, headers, body[:MAX_ERROR_BODY], secret=self.secret
        )

    def _chunks(self, response: httpx.Response, deadline: float) -> Iterator[bytes]:
        """Raw bytes until the bound or the deadline; each read alone may take `timeout_s` too."""
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise Failure("malformed", f"an answer in encoding {one_line(encoding)}, unasked")
        size = 0
        for chunk in response.iter_raw():
            size += len(chunk)
            if size > MAX_BODY:
                raise Failure("malformed", f"an answer of more than {MAX_BODY} bytes")
            if self._monotonic() > deadline:
                raise Failure("timeout", "no whole answer in time")
            yield chunk


def parse_object(text: str) -> dict[str, Any]:
    """Read a JSON object; raises Failure."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        page = text.lstrip()[:1] == "<"
        what = "a page of HTML" if page else "no JSON object"
        raise Failure("malformed", f"an answer that is {what}")
    return value


def events(lines: Iterator[str]) -> Iterator[str]:
    """Data of server-sent events; comments, which keep connections alive, are left out."""
    data: list[str] = []
    for line in lines:
        field, _, value = line.partition(":")
        # llama.cpp told errors in a field of that name
        if field in {"data", "error"}:
            data.append(value.removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []
    if data:
        yield "\n".join(data)


@cache
def _certificates() -> ssl.SSLContext:
    """Whom to trust; reading them takes longer than all else, so once for all providers."""
    return httpx.create_ssl_context()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _text(line: bytes) -> str:
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise Failure("malformed", "an answer that is not UTF-8") from None


def _no_address(why: object) -> Failure:
    return Failure("refused", f"its address is none: {one_line(str(why))}")


def _timeouts(timeout_s: float) -> httpx.Timeout:
    return httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))


def _drop(late: Future[httpx.Response]) -> None:
    """Close what came when nobody waited any more."""
    if late.exception() is None:
        late.result().close()


def _host(url: httpx.URL) -> str:
    return f"{url.host}:{url.port}" if url.port else url.host


def _transport_failure(error: httpx.TransportError, url: httpx.URL, secret: str) -> Failure:
    where = _host(url)
    why = one_line(str(error) or type(error).__name__, secret=secret)
    if isinstance(error, httpx.UnsupportedProtocol):
        return Failure("refused", "its address begins with neither http:// nor https://")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return Failure("unreachable", f"nobody answers at {where}: {why}")
    if isinstance(error, httpx.TimeoutException):
        return Failure("timeout", f"{where} gave no whole answer in time")
    return Failure("unavailable", f"the connection to {where} broke: {why}")
