"""How programs write a secret, told with the standard library alone."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

_GROUP = 3


def written(value: str, *, form: int) -> str:
    """A value as some program would print it; any number names a form."""
    data = value.encode()
    forms = (
        value,
        data.hex(),
        data.hex().upper(),
        quote(value, safe=""),
        base64.b64encode(data).decode(),
        base64.b64encode(b"u:" + data + b"\n").decode(),
        base64.b64encode(b"x" + data).decode(),
        base64.urlsafe_b64encode(data).decode(),
        data.hex(" ", 2),
        quote(quote(value, safe=""), safe=""),
        "".join(f"&#{ord(each)};" for each in value),
        json.dumps(base64.encodebytes(data).decode()),
    )
    return forms[form % len(forms)]


def wrapped(value: str, *, form: int, width: int) -> str:
    """The same with a line end after each so many characters, as `base64` and `xxd -p` do it."""
    text = written(value, form=form)
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


def plain_forms(value: str) -> Iterator[str]:
    """What must not stand in a text."""
    data = value.encode()
    yield value
    yield quote(value, safe="")
    yield from encodings(data)


def streamed_forms(value: str) -> Iterator[str]:
    """What must not stand in a command's output either."""
    data = value.encode()
    yield from plain_forms(value)
    yield quote_plus(value)
    yield "".join(f"%{byte:02x}" for byte in value.encode())
    yield "".join(f"%{byte:02X}" for byte in value.encode())
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(quote(value, safe=""), safe="")
    yield "".join(f"&#{ord(each)};" for each in value)
    yield data.hex(" ", 2)


def encodings(data: bytes) -> Iterator[str]:
    """Those that programs break into lines: hexadecimal, and base64 at any offset."""
    yield binascii.hexlify(data).decode()
    yield binascii.hexlify(data).decode().upper()
    for before in range(_GROUP):
        # The first and last groups also hold bits of what stands beside the value.
        encoded = base64.b64encode(b"\0" * before + data + b"\0" * _GROUP)
        first = -(-before * 8 // 6)
        last = (before + len(data)) * 8 // 6
        sure = encoded[first:last].decode()
        yield sure
        yield sure.translate(str.maketrans("+/", "-_"))
