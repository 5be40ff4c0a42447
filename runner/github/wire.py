"""HTTP to GitHub: bounded in time, size and pages; retried where that is safe.

Redirects are not followed and links lead to no other host: the token would go along. `.netrc`
is not read, and a server on this machine is never asked through a proxy.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from runner import __version__
from runner.core.errors import ForgeDenied, ForgeError, ForgeLimited, ForgeUnclear
from runner.core.text import visible
from runner.github import answers
from runner.github.auth import Auth

MAX_BODY: Final = 16 * 2**20
MAX_PAGES: Final = 200
PER_PAGE: Final = 100
TIMEOUT_S: Final = 30.0
# Each part of an answer may take the time-out anew, all of them together this long.
LONGEST_ANSWER_S: Final = 120.0
LONGEST_WAIT_S: Final = 90.0
WAITS: Final = (1.0, 4.0)
MOST_LIMITS: Final = 3
UNKNOWN_TOKEN: Final = 401
NOT_FOUND: Final = 404
API_VERSION: Final = "2022-11-28"
_LOOPBACK: Final = ("all://127.0.0.1", "all://localhost", "all://[::1]")
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_ID_OF_REPOSITORY: Final = re.compile(r"/repositories/[0-9]+(?=/|$)")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A parsed body, and the address of the next page where there is one."""

    value: Any
    next: str = ""


class Wire:
    """`now` gives seconds since 1970, `sleep` waits; answers are remembered by their ETag."""

    def __init__(
        self,
        url: str,
        repository: str,
        auth: Auth,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self.repository = repository
        self._auth = auth
        self._now, self._sleep = now, sleep
        self._known: dict[str, tuple[str, Answer]] = {}
        self._client = httpx.Client(
            headers={
                "user-agent": f"planlock/{__version__}",
                "accept": "application/vnd.github+json, application/json",
                "accept-encoding": "identity",
                "x-github-api-version": API_VERSION,
            },
            timeout=TIMEOUT_S,
            follow_redirects=False,
            mounts=dict.fromkeys(_LOOPBACK),
        )

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, **params: str | int) -> Any:
        """One answer; raises ForgeError and its kinds."""
        return self._get(self._address(path, params)).value

    def pages(self, path: str, *, key: str = "", **params: str | int) -> Iterator[dict[str, Any]]:
        """The items of every page, as they come; `key` names the list inside of an object.

        Whoever takes them all has all of them, or an error.
        """
        address, seen = self._address(path, {"per_page": PER_PAGE, **params}), set[str]()
        while address and address not in seen and len(seen) < MAX_PAGES:
            seen.add(address)
            # a list is whole or not at all, and an answer that did not change may go on elsewhere
            answer = self._request("GET", address, None, safe=True)
            value = (
                answer.value.get(key) if key and isinstance(answer.value, dict) else answer.value
            )
            if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
                raise ForgeUnclear(f"asking GitHub for {path}: an answer that is no list")
            yield from value
            address = self._checked(answer.next, address) if answer.next else ""
        if address:
            raise ForgeUnclear(f"asking GitHub for {path}: its pages have no end")

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """Change something. What may have arrived is not sent a second time, but for PATCH and PUT."""
        safe = method in {"PATCH", "PUT"}
        return self._request(method, self._address(path, {}), body, safe=safe).value

    def graphql(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Ask a query, which changes nothing; raises ForgeUnclear where a part of it failed."""
        body = {"query": query, "variables": dict(variables)}
        found = self._request("POST", graphql_url(self.url), body, safe=True).value
        errors = found.get("errors") if isinstance(found, dict) else None
        data = found.get("data") if isinstance(found, dict) else None
        if answers.is_limited(errors):
            raise self._limited(answers.UNTOLD_WAIT_S)
        if errors or not isinstance(data, dict):
            said = answers.said(errors) or "an answer without data"
            raise ForgeUnclear(f"asking GitHub: {said}")
        return data

    def _address(self, path: str, params: Mapping[str, str | int]) -> str:
        try:
            return str(httpx.URL(f"{self.url}{path}", params=params or None))
        except httpx.InvalidURL as error:
            raise self._no_address(error) from error

    def _checked(self, link: str, address: str) -> str:
        """Where a link in an answer leads, which may be to no other server."""
        try:
            ours = httpx.URL(address)
            theirs = ours.join(link)
        except httpx.InvalidURL as error:
            raise ForgeUnclear(f"asking {self._host}: a link that is none") from error
        if theirs.userinfo or not _is_same_origin(ours, theirs):
            raise ForgeUnclear(f"asking {self._host}: the next page is on another server")
        return str(theirs)

    def _get(self, address: str) -> Answer:
        known = self._known.get(address)
        headers = {"if-none-match": known[0]} if known else {}
        return self._request("GET", address, None, safe=True, headers=headers)

    def _request(
        self,
        method: str,
        address: str,
        body: Mapping[str, Any] | None,
        *,
        safe: bool,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Try until it is answered, refused, or too much."""
        failures, limits = iter(WAITS if safe else ()), 0
        while True:
            try:
                response = self._sent(method, address, body, headers or {})
            except httpx.TransportError as error:
                self._again(failures, self._failed(address, str(error)), error)
                continue
            if (wait := answers.limit(response, self._now())) is not None:
                limits += 1
                if limits > MOST_LIMITS or wait > LONGEST_WAIT_S:
                    raise self._limited(wait)
                self._sleep(wait)
            elif response.status_code >= 500:
                said = f"HTTP {response.status_code}"
                self._again(failures, self._failed(address, said))
            else:
                return self._answer(method, address, response)

    def _limited(self, wait: float) -> ForgeLimited:
        message = f"asking {self._host}: its rate limit is reached for {wait:.0f} s"
        return ForgeLimited(message, hint="run it again later")

    def _again(
        self, waits: Iterator[float], failed: ForgeError, cause: Exception | None = None
    ) -> None:
        """Wait before the next try; raises the failure where there is none."""
        wait = next(waits, None)
        if wait is None:
            raise failed from cause
        self._sleep(wait)

    def _sent(
        self, method: str, address: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> httpx.Response:
        request = self._client.build_request(
            method,
            address,
            content=json.dumps(body).encode() if body is not None else None,
            headers={
                **({"content-type": "application/json"} if body is not None else {}),
                **headers,
            },
        )
        if "authorization" not in request.headers:
            mine = self._auth.header(self.repository, self._now(), self._ask)
            request.headers["authorization"] = mine
        return self._read(request)

    def _read(self, request: httpx.Request) -> httpx.Response:
        """The whole answer, as long as it is no longer than it may be."""
        end = self._now() + LONGEST_ANSWER_S
        try:
            response = self._client.send(request, stream=True)
        except UnicodeError as error:
            # a host whose parts are too long for the name service
            raise self._no_address(error) from error
        try:
            if response.headers.get("content-encoding", "identity") != "identity":
                # a small compressed body can be a huge one
                raise ForgeUnclear(f"asking {self._host}: an encoded answer, unasked")
            data = bytearray()
            for chunk in response.iter_raw():
                data += chunk
                if len(data) > MAX_BODY:
                    raise ForgeUnclear(f"asking {self._host}: more than {MAX_BODY} bytes")
                if self._now() > end:
                    raise httpx.ReadTimeout("no whole answer in time", request=request)
        finally:
            response.close()
        return httpx.Response(
            response.status_code, headers=response.headers, content=bytes(data), request=request
        )

    def _ask(self, method: str, path: str, authorization: str) -> Any:
        """Ask as somebody else for a token to go on with; one too many does no harm."""
        address, headers = self._address(path, {}), {"authorization": authorization}
        return self._request(method, address, None, safe=True, headers=headers).value

    def _answer(self, method: str, address: str, response: httpx.Response) -> Answer:
        status = response.status_code
        if status == 304:
            if (known := self._known.get(address)) is None:
                raise ForgeUnclear(f"asking {self._host}: unchanged since it was never asked")
            return known[1]
        if status in _MOVED:
            now = self._new_name(address, response)
            message = f"asking {self._host}: it was moved or renamed{now and f' to {now}'}"
            hint = f"export PLANLOCK_FORGE={shlex.quote(now or 'owner/name')}"
            raise ForgeError(message, hint=hint)
        if status >= 400:
            raise self._refused(method, address, response)
        if status == 204 or not response.content:
            return Answer(value=None)
        asking = f"asking {self._host}"
        value = answers.value(response, asking)
        answer = Answer(value=value, next=answers.next_page(response, asking))
        if method == "GET" and (etag := response.headers.get("etag")):
            self._known[address] = etag, answer
        return answer

    def _new_name(self, address: str, response: httpx.Response) -> str:
        """What a renamed repository is called now, as far as this same server tells."""
        try:
            target = httpx.URL(self._checked(response.headers.get("location", ""), address))
            found = _ID_OF_REPOSITORY.search(target.path)
            asked = self._address(found[0], {}) if found else ""
            answer = self._sent("GET", asked, None, {}) if asked else None
            told = answers.value(answer, "") if answer and answer.is_success else None
        except (ForgeError, httpx.TransportError):
            return ""
        name = told.get("full_name") if isinstance(told, dict) else None
        return visible(name) if isinstance(name, str) else ""

    def _refused(self, method: str, address: str, response: httpx.Response) -> ForgeError:
        path = httpx.URL(address).path
        said = self._safe(answers.message(response))
        text = f"{method} {path}: HTTP {response.status_code}: {said}"
        if response.status_code in {401, 403, 404}:
            needs = response.headers.get("x-accepted-github-permissions", "")
            hint = f"the token needs: {visible(needs)}" if needs else "see docs/github.md, Tokens"
            if response.status_code == NOT_FOUND and not needs:
                hint = "there is none, or this token may not see it: docs/github.md, Tokens"
            if response.status_code == UNKNOWN_TOKEN:
                hint = "the token is wrong or has expired: export GITHUB_TOKEN=$(gh auth token)"
            denied = ForgeDenied(text, hint=hint)
            denied.status = response.status_code
            return denied
        return ForgeError(text)

    def _failed(self, address: str, why: str) -> ForgeError:
        path = httpx.URL(address).path
        return ForgeError(f"asking {self._host} for {path}: {self._safe(why)}", hint="try again")

    def _safe(self, text: str) -> str:
        """What a server said, in one line, without our secrets."""
        for secret in self._auth.secrets:
            text = text.replace(secret, "[token]")
        line = visible(" ".join(text.split()))
        return line if len(line) <= answers.MAX_MESSAGE else f"{line[: answers.MAX_MESSAGE]}…"

    def _no_address(self, why: Exception) -> ForgeError:
        hint = "export PLANLOCK_FORGE_URL=https://api.github.com"
        return ForgeError(f"asking GitHub: its address is none: {visible(str(why))}", hint=hint)

    @property
    def _host(self) -> str:
        return visible(httpx.URL(self.url).host)


def _is_same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def graphql_url(url: str) -> str:
    """Where queries go: beside the REST API on GitHub Enterprise Server, below it elsewhere."""
    return f"{url.removesuffix('/v3')}/graphql" if url.endswith("/api/v3") else f"{url}/graphql"
