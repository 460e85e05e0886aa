"""Messages: one line that is read at a glance, whatever it names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replication.inputs.messages import fitting


@given(st.lists(st.text("ab", max_size=9), max_size=20), st.integers(30, 90))
def test_the_parts_that_fit_are_shown_whole_and_the_others_counted(
    parts: list[str], most: int
) -> None:
    said = fitting(parts, most)
    assert len(said) <= most
    *shown, last = said.split(", ")
    if last.startswith("and "):
        assert shown == parts[: len(shown)]
        assert last == f"and {len(parts) - len(shown)} more"
    else:
        assert said == ", ".join(parts)
