"""Sphinx's settings; `docs.site.source` writes what they are applied to."""

from __future__ import annotations

from docs.site.source import START
from replication.report.pictures.theme import FONT, PALETTES

project = "Circuit replication"
root_doc = START
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}

myst_heading_anchors = 4  # with the names that GitHub gives
suppress_warnings = ["misc.highlighting_failure"]  # of JSON with "…" in it, which stays plain

smartquotes = False  # what is shown is what is written

html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_search_summary = False  # it is fetched, which browsers allow no page from disk

# The theme's colours are those of the pictures and the report page.
COLOURS = {
    "color-background-primary": "paper",
    "color-background-secondary": "panel",
    "color-background-border": "line",
    "color-foreground-primary": "ink",
    "color-foreground-secondary": "muted",
    "color-foreground-muted": "muted",
    "color-code-background": "panel",
    "color-inline-code-background": "panel",
    "color-brand-primary": "second",
    "color-brand-content": "second",
    "color-brand-visited": "second",
}
html_theme_options = {
    f"{look}_css_variables": {
        "font-stack": FONT,
        **{variable: str(colours[name]) for variable, name in COLOURS.items()},
    }
    for look, colours in PALETTES.items()
}
