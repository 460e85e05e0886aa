"""Pictures: Vega-Lite specs of circuits, scores and controls.

Each function takes rows or records and gives a spec as a plain dict. No spec names a colour: marks
have styles, and `theme` says what these look like on light and on dark paper. Whatever colour
says, a shape, an outline or a position says too.
"""
