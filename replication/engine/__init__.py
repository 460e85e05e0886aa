"""The engine: prompts to activations to scores; the only folder that knows torch."""
