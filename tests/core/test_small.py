"""Ids, money and the small value types."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from runner.core.cost import Call, Total, total
from runner.core.ids import ulid
from runner.core.values import Digest, Timestamp, Usd, parse_duration, parse_time, time_text, usd


class TestIds:
    def test_a_ulid_is_as_its_specification_says(self) -> None:
        """The example of github.com/ulid/spec gives its time part; randomness is appended."""
        assert ulid(1469918176385, bytes(10)) == "01ARYZ6S41" + "0" * 16
        assert ulid(0, b"\xff" * 10) == "0" * 10 + "Z" * 16

    @given(
        st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10)
    )
    def test_ulids_sort_by_time(self, first: int, second: int, random: bytes) -> None:
        """An earlier moment gives a smaller text, whatever the randomness."""
        if first < second:
            assert ulid(first, b"\xff" * 10) < ulid(second, random)

    def test_randomness_has_ten_bytes(self) -> None:
        """Less randomness is refused."""
        with pytest.raises(ValueError, match="10 random bytes, not 9"):
            ulid(0, bytes(9))


def call(cost: str | None) -> Call:
    return Call(
        provider="p",
        model="m",
        status="ok",
        input_tokens=3,
        output_tokens=2,
        cost_usd=cost,
        cost_status="computed" if cost else "unknown",
        file="calls/001-1.yaml",
    )


class TestCost:
    def test_unknown_costs_are_counted_apart(self) -> None:
        """A sum says how many of its calls have no price."""
        assert total([call("0.10"), call(None), call("0.20")]) == Total(
            usd=Decimal("0.30"), input_tokens=9, output_tokens=6, calls=3, unpriced=1
        )
        assert total([]) == Total()

    @given(st.lists(st.decimals(0, 100, places=6).map(usd)))
    def test_sums_are_exact(self, costs: list[str]) -> None:
        """Money adds up without rounding, in any order."""
        calls = [call(cost) for cost in costs]
        assert total(calls).usd == total(reversed(calls)).usd == sum(map(Decimal, costs))


class TestValues:
    @given(st.decimals(0, 999_999_999, places=9))
    def test_money_is_written_in_plain_digits(self, amount: Decimal) -> None:
        """What is written can be read again, has cents and no exponent."""
        text = usd(amount)
        assert TypeAdapter(Usd).validate_python(text) == text
        assert Decimal(text) == amount
        assert len(text.partition(".")[2]) >= 2

    @pytest.mark.parametrize("text", ["1e3", "-1", "1.", ".5", "0.1234567891", "1,0", "NaN"])
    def test_other_spellings_of_money_are_refused(self, text: str) -> None:
        """Signs, exponents and commas are no money."""
        with pytest.raises(ValidationError):
            TypeAdapter(Usd).validate_python(text)

    @given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1)))  # noqa: DTZ001  # hypothesis wants naive bounds
    def test_times_survive_a_round_trip(self, moment: datetime) -> None:
        """A moment is written to the second in UTC and read back."""
        aware = moment.replace(tzinfo=UTC, microsecond=0)
        assert parse_time(time_text(aware)) == aware

    def test_other_zones_are_turned_to_utc(self) -> None:
        """A time with another offset is written as its UTC moment."""
        east = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
        assert time_text(east) == "2026-01-01T00:00:00Z"

    @pytest.mark.parametrize(
        "text", ["2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01", "2026-01-01T00:00Z"]
    )
    def test_times_that_do_not_exist_are_refused(self, text: str) -> None:
        """A well-formed time must also be a real one."""
        with pytest.raises(ValidationError):
            TypeAdapter(Timestamp).validate_python(text)

    def test_durations_have_a_unit(self) -> None:
        """Minutes, hours and days are understood."""
        assert [parse_duration(each) for each in ("90m", "12h", "7d")] == [
            timedelta(minutes=90),
            timedelta(hours=12),
            timedelta(days=7),
        ]

    @pytest.mark.parametrize("text", ["sha256:" + "A" * 64, "sha256:" + "0" * 63, "0" * 64])
    def test_a_digest_has_one_spelling(self, text: str) -> None:
        """Upper case, a wrong length or a missing prefix are no digest."""
        with pytest.raises(ValidationError):
            TypeAdapter(Digest).validate_python(text)
