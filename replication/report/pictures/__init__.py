"""Pictures: Vega-Lite specs of circuits, scores and controls."""
