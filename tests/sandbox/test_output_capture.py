from __future__ import annotations

import hashlib
import re

from hypothesis import given
from hypothesis import strategies as st

from runner.sandbox.output import Capture


def fed(limit: int, chunks: list[bytes]) -> Capture:
    capture = Capture(limit)
    for chunk in chunks:
        capture.feed(chunk)
    return capture


def test_short_output_is_kept_whole() -> None:
    """Up to the limit nothing is lost."""
    capture = fed(5, [b"ab", b"", b"cde"])
    assert capture.content() == b"abcde"
    assert not capture.truncated


def test_long_output_keeps_head_and_tail() -> None:
    """Beyond the limit both ends are kept and the gap is counted."""
    capture = fed(300, [b"start", b"x" * 10_000, b"end"])
    assert capture.truncated
    assert capture.length == 10_008
    content = capture.content()
    assert content.startswith(b"start")
    assert content.endswith(b"end")
    gap = re.search(rb"\n\[(\d+) bytes left out\]\n", content)
    assert gap
    assert int(gap[1]) + len(content) - len(gap[0]) == 10_008


@given(st.integers(0, 2000), st.lists(st.binary(max_size=700), max_size=12))
def test_bounds_digest_and_ends(limit: int, chunks: list[bytes]) -> None:
    """However output is cut into chunks, the limit holds and digest and length are the whole's."""
    capture, whole = fed(limit, chunks), b"".join(chunks)
    content = capture.content()
    assert len(content) <= limit
    assert capture.length == len(whole)
    assert capture.sha256 == f"sha256:{hashlib.sha256(whole).hexdigest()}"
    assert capture.truncated == (len(whole) > limit)
    half = len(content) // 3
    assert content[:half] == whole[:half]
    assert content[len(content) - half :] == whole[len(whole) - half :]


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_chunking_does_not_matter(chunks: list[bytes]) -> None:
    """The same stream gives the same record however it arrived."""
    whole = b"".join(chunks)
    assert fed(400, chunks).content() == fed(400, [whole]).content()
