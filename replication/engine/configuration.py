"""A model's configuration: what it says of its sizes, before anything is built of these sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from replication.circuits.components import ModelShape
from replication.engine.architectures import first_position
from replication.inputs.files import InputError, read_json, validate
from replication.inputs.messages import library_reason, placed, quoted

CONFIGURATION = "config.json"
# What configurations call the sizes of a model.
_SIZES = {
    "n_layers": ("n_layer", "num_hidden_layers"),
    "n_heads": ("n_head", "num_attention_heads"),
    "d_model": ("n_embd", "hidden_size"),
}


def read_configuration(folder: Path, expected: ModelShape, place: Path) -> Any:
    """The configuration, as transformers has it, of the model that messages say is at `place`.

    Raises:
        InputError: its sizes are not those expected, it is of an encoder-decoder, or of nothing
            that transformers knows.
    """
    _check_sizes(folder, expected, place)
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:  # whatever a file can make the library raise
        reason = library_reason(error)
        raise InputError(f"{placed(folder)}: transformers cannot read it: {reason}") from None
    if config.is_encoder_decoder:
        raise InputError(
            f"{placed(place)}: {quoted(config.model_type)[1:-1]} is an encoder-decoder, whose"
            " layers are no one row; expected an encoder or a decoder"
        )
    return config


def context_of(config: Any) -> int | None:
    """How many tokens a prompt may have; None where the configuration states no bound."""
    most = getattr(config.get_text_config(), "max_position_embeddings", None)
    return None if most is None else most - first_position(config)


def _check_sizes(folder: Path, expected: ModelShape, place: Path) -> None:
    path = folder / CONFIGURATION
    config = read_json(path)
    if not isinstance(config, dict):
        raise InputError(f"{placed(path)}: expected an object, found {quoted(config)}")
    sizes = {size: config[key] for size, keys in _SIZES.items() for key in keys if key in config}
    if len(sizes) < len(_SIZES):
        return  # whatever the libraries make of it
    are_counts = all(type(size) is int and size > 0 for size in sizes.values())
    sizes["d_head"] = config.get("head_dim") or (
        sizes["d_model"] // sizes["n_heads"] if are_counts else 1
    )
    found = validate(ModelShape, sizes, path)
    if found.model_copy(update={"d_head": expected.d_head}) != expected:
        raise InputError(
            f"{placed(place)}: the model has {found}; the experiment expects {expected}"
        )
