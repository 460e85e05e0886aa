"""What stands in the place of a control's result where there is none."""

from __future__ import annotations

from dataclasses import dataclass

DOES_NOT_APPLY = "does not apply"


@dataclass(frozen=True)
class NotComputed:
    """A control that could not be computed, and why."""

    reason: str
