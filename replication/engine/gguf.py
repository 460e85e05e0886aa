"""GGUF files: converted once to what transformers loads quickly, and kept in the user's cache.

Reading such a file takes transformers many times as long as reading the same weights from
safetensors. What is kept is checked whenever it is read, and may be removed at any time.
"""

from __future__ import annotations

import contextlib
import functools
import io
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from replication.engine.provenance import versions
from replication.engine.transformer import check_complete, import_quietly
from replication.inputs.files import InputError
from replication.inputs.folders import MANIFEST, check_ours, writing_folder
from replication.inputs.hub import NotAtHand
from replication.inputs.messages import library_reason, placed, system_reason
from replication.inputs.writing import write_json

OURS = "pytest-circuit-replication"


def converted(path: Path, sha256: str) -> Path:
    """A folder of the model in a GGUF file with this SHA-256, as transformers itself saves models.

    Raises:
        NotAtHand: what reads such files is not installed.
        InputError: the file is not one that transformers reads, or holds not all of the model, or
            there is no room for what it holds.
    """
    if find_spec("gguf") is None:
        raise NotAtHand(
            f"{placed(path)}: reading it needs gguf: `pip install '{OURS}[gguf]'` brings it"
        )
    made_by = versions("gguf")
    name = f"{sha256}-transformers-{made_by['transformers']}-gguf-{made_by['gguf']}"
    try:
        return _kept(cache_folder() / name, path)
    except OSError:  # nothing can be kept there
        pass
    try:
        return _kept(Path(_temporary().name) / name, path)
    except OSError as error:
        reason = system_reason(error)
        raise InputError(f"{placed(path)}: cannot be converted: {reason}") from None


def cache_folder() -> Path:
    """Where converted models are kept."""
    from platformdirs import user_cache_path

    return user_cache_path(OURS) / "gguf"


@functools.cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """A folder that ends with the process."""
    return tempfile.TemporaryDirectory(prefix=OURS)


def _kept(folder: Path, path: Path) -> Path:
    """The folder, if it is there and whole; or made anew."""
    if folder.exists():
        with contextlib.suppress(InputError):
            check_ours(folder)
            if (folder / MANIFEST).is_file():
                return folder
        shutil.rmtree(folder)
    with writing_folder(folder) as new:
        _convert(path, new)
    return folder


def _convert(path: Path, folder: Path) -> None:
    """Write the weights, the configuration and the tokenizer that a GGUF file holds."""
    import_quietly()
    import torch
    from safetensors.torch import save_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with contextlib.redirect_stderr(io.StringIO()):  # progress bars that nothing else silences
            tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
            model, info = AutoModelForCausalLM.from_pretrained(
                str(path.parent),
                gguf_file=path.name,
                dtype=torch.float32,
                output_loading_info=True,
            )
        check_complete(model, info)
    except InputError as error:
        raise InputError(f"{placed(path)}: {error}") from None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # whatever a file can make the libraries raise
        reason = library_reason(error)
        raise InputError(f"{placed(path)}: transformers cannot read it: {reason}") from None
    config = model.config.to_dict() | {"architectures": [type(model).__name__]}
    config.pop("quantization_config", None)
    write_json(folder / "config.json", config)
    tokenizer.save_pretrained(folder)
    save_model(model, str(folder / "model.safetensors"), {"format": "pt"})
