"""Who asks: a token as it is, or a GitHub App that gets one for an hour at a time.

docs.github.com, "Generating a JSON Web Token (JWT) for a GitHub App".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

from runner.core.errors import ForgeDenied, ForgeUnclear

# A server's clock may be a little behind ours, and a token has to last for what is under way.
SKEW_S: Final = 60
LIFETIME_S: Final = 540
RENEWED_S: Final = 3300

_Told = TypeVar("_Told", int, str)
Ask = Callable[[str, str, str], Any]


class Auth(Protocol):
    """`header` gives what stands behind `Authorization:`; `ask` is for getting a token first.

    `ask` takes a method, a path and the header to send, and gives the parsed answer.
    """

    def header(self, repository: str, now: float, ask: Ask) -> str: ...

    @property
    def secrets(self) -> tuple[str, ...]: ...


class Token:
    """A personal token, or that of a workflow's job."""

    def __init__(self, text: str) -> None:
        self._text = text.strip()
        if not _is_token(self._text):
            raise ForgeDenied("asking GitHub: the token is none", hint="export GITHUB_TOKEN=…")

    def header(self, repository: str, now: float, ask: Ask) -> str:  # noqa: ARG002  # as an App's
        return f"Bearer {self._text}"

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self._text,)


class App:
    """A GitHub App by its number and private key (PEM); its installation is looked up."""

    def __init__(self, app: str, key: str) -> None:
        self._app = app
        self._key = key
        self._token, self._since = "", 0.0

    def header(self, repository: str, now: float, ask: Ask) -> str:
        """A token for the App's installation in the repository, renewed in time."""
        if not self._token or now - self._since > RENEWED_S:
            bearer = f"Bearer {self.jwt(now)}"
            found = ask("GET", f"/repos/{repository}/installation", bearer)
            number = _field(found, "id", int)
            made = ask("POST", f"/app/installations/{number}/access_tokens", bearer)
            self._token, self._since = _field(made, "token", str), now
            if not _is_token(self._token):
                raise ForgeUnclear("becoming the App: the answer has no token")
        return f"Bearer {self._token}"

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(each for each in (self._token, self._key) if each)

    def jwt(self, now: float) -> str:
        """What proves to be the App, for a few minutes (RFC 7519, RS256)."""
        claims = {"iat": int(now) - SKEW_S, "exp": int(now) + LIFETIME_S, "iss": self._app}
        head = {"alg": "RS256", "typ": "JWT"}
        text = f"{_part(head)}.{_part(claims)}"
        return f"{text}.{_base64(self._signature(text.encode()))}"

    def _signature(self, message: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(self._key.encode(), password=None)
        except (TypeError, ValueError) as error:
            message_text = "reading the App's key: not an unencrypted private key in PEM"
            raise ForgeDenied(message_text, hint="export PLANLOCK_FORGE_APP_KEY=FILE") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ForgeDenied("reading the App's key: not an RSA key")
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def _is_token(text: str) -> bool:
    """Whether it is one word of a header."""
    return text.isascii() and text.isprintable() and " " not in text


def _field(value: Any, name: str, kind: type[_Told]) -> _Told:
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, kind) or not found:
        raise ForgeUnclear(f"becoming the App: the answer has no {name}")
    return found


def _part(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
