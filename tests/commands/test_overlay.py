"""Overlays: what is brought stands where the template has it, behind what the template explains."""

from __future__ import annotations

import pytest

from replication.commands.overlay import overlaid

TEMPLATE = """\
# What it is called.
title = "An example"

# An example of a table:
#[other]
#key = 1

# Its sizes.
#
# More of them.
[model]
name = "a"

#[model]
#name = "b"
"""


def test_what_is_brought_takes_the_place_of_what_is_in_force() -> None:
    found = overlaid(TEMPLATE, '# Mine.\n[model]\nname = "c"\n\ntitle = "Mine"\n')
    assert found == TEMPLATE.replace('"An example"', '"Mine"').replace(
        '[model]\nname = "a"', '# Mine.\n[model]\nname = "c"'
    )


def test_what_is_an_example_only_is_replaced_there() -> None:
    assert overlaid(TEMPLATE, "[other.named]\nkey = 2") == TEMPLATE.replace(
        "#[other]\n#key = 1", "[other.named]\nkey = 2"
    )


def test_what_the_template_has_not_is_no_part_of_it() -> None:
    with pytest.raises(IndexError):
        overlaid(TEMPLATE, "[unknown]\nkey = 2")
