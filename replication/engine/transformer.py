"""The transformer: the model without its language-model head, on raw weights, and its taps.

Architectures in the table are built by transformers itself; others through TransformerLens, which
knows where the modules behind its hook points are.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replication.engine.architectures import ARCHITECTURES
from replication.engine.taps import Taps, located_taps, tabled_taps
from replication.engine.weights import check_whole, weight_files
from replication.experiment.spec import MlpAt
from replication.inputs.files import InputError
from replication.inputs.messages import library_reason, placed, quoted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

# A weight takes at least one bit of its file; a configuration that asks for more names other sizes.
_WEIGHTS_OF_A_BYTE = 8


def load_taps(
    folder: Path,
    config: Any,
    device: str,
    precision: str,
    mlp_at: MlpAt,
    *,
    gives_attention: bool = False,
) -> Taps:
    """The model in a folder, and its modules behind the hook points.

    To give attention weights, it computes attention step by step, which takes longer.

    Raises:
        InputError: it cannot be loaded, its files lack a weight, or a hook point is missing.
    """
    import_quietly()
    check_whole(folder)
    _check_size(folder, config)
    row = ARCHITECTURES.get(config.model_type)
    try:
        if row is None:
            taps = located_taps(_bridge(folder, device, precision), mlp_at)
        else:
            whole = _build(folder, row.is_causal, precision, gives_attention).to(device)
            taps = tabled_taps(whole, row, mlp_at)
    except InputError as error:
        raise InputError(f"{placed(folder)}: {error}") from None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # whatever a folder of files can make the libraries raise
        reason = library_reason(error)
        kind = quoted(config.model_type)[1:-1]
        raise InputError(f"{placed(folder)}: cannot be loaded as {kind}: {reason}") from None
    running: Any = taps.transformer.config
    running.output_attentions = running.use_cache = False
    return taps


def import_quietly() -> None:
    """Import the libraries that load models, without their own progress bars and advice."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("transformer_lens").setLevel(logging.ERROR)


def _check_size(folder: Path, config: Any) -> None:
    """Refuse a configuration of more weights than its files can hold, before there is room made."""
    import torch
    from transformers import AutoModel

    try:
        with torch.device("meta"):
            model = AutoModel.from_config(config)
    except Exception:  # an architecture without such a class; the loading says more
        return
    wanted = sum(parameter.numel() for parameter in model.parameters())
    held = _WEIGHTS_OF_A_BYTE * sum(path.stat().st_size for path in weight_files(folder))
    if wanted > held:
        raise InputError(
            f"{placed(folder / 'config.json')}: its sizes ask for {wanted:,} weights, and the"
            f" weight files hold {held:,} at most"
        )


def _build(folder: Path, is_causal: bool, precision: str, gives_attention: bool) -> Any:
    import torch
    from transformers import AutoModel, AutoModelForCausalLM

    model, info = (AutoModelForCausalLM if is_causal else AutoModel).from_pretrained(
        str(folder),
        dtype=getattr(torch, precision),
        output_loading_info=True,
        attn_implementation="eager" if gives_attention else None,
    )
    check_complete(model, info)
    return model


def _bridge(folder: Path, device: str, precision: str) -> TransformerBridge:
    import torch
    from transformer_lens.model_bridge import TransformerBridge
    from transformer_lens.model_bridge.sources.transformers import (
        determine_architecture_from_hf_config,
        get_hf_model_class_for_architecture,
    )
    from transformers import AutoConfig

    own_class = get_hf_model_class_for_architecture(
        determine_architecture_from_hf_config(AutoConfig.from_pretrained(str(folder)))
    )

    class Complete:
        """The class that the bridge would take, which also says what it made up."""

        @staticmethod
        def from_pretrained(name: str, **options: Any) -> Any:
            model, info = own_class.from_pretrained(name, **options, output_loading_info=True)
            check_complete(model, info)
            return model

    return TransformerBridge.boot_transformers(
        str(folder), device=device, dtype=getattr(torch, precision), model_class=Complete
    )


def check_complete(model: Any, loading_info: dict[str, Any]) -> None:
    """Refuse weights that the files lack, but for those of heads: they would be made up at random.

    Raises:
        InputError: naming the first, and how many there are.
    """
    prefix = model.base_model_prefix
    is_whole = hasattr(model, prefix)
    missing = sorted(
        name
        for name in loading_info["missing_keys"]
        if (name.startswith(f"{prefix}.") if is_whole else not name.startswith("pooler."))
    )
    if missing:
        raise InputError(f"the weights lack {missing[0]} ({len(missing)} in all)")
