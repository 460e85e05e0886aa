"""GGUF files: converted once to what transformers loads quickly, and kept in the user's cache.

Reading such a file takes transformers many times as long as reading the same weights from
safetensors. What is kept is checked whenever it is read, and may be removed at any time.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from replication.engine.configuration import CONFIGURATION
from replication.engine.provenance import versions
from replication.engine.transformer import check_complete, import_quietly
from replication.inputs.cache import OURS, cache_folder
from replication.inputs.files import InputError
from replication.inputs.folders import MANIFEST, is_whole, writing_folder
from replication.inputs.messages import (
    MESSAGE,
    library_reason,
    placed,
    quoted,
    shortened,
    system_reason,
)
from replication.inputs.writing import write_json

Used = TypeVar("Used")


def of_converted(path: Path, sha256: str, use: Callable[[Path], Used]) -> Used:
    """What is made of the model in a GGUF file with this SHA-256, in a folder as others are.

    What was kept is checked while it is used; where it is not whole, it is made and used anew.

    Raises:
        InputError: the file is not one that transformers reads, or holds not all of the model, or
            there is no room for what it holds.
    """
    made_by = versions("gguf")
    name = f"{sha256}-transformers-{made_by['transformers']}-gguf-{made_by['gguf']}"
    try:
        return _of_kept(cache_folder("gguf") / name, path, use)
    except OSError:  # nothing can be kept there
        pass
    try:
        return _of_kept(Path(_temporary().name) / name, path, use)
    except OSError as error:
        reason = system_reason(error)
        raise InputError(f"{placed(path)}: cannot be converted: {reason}") from None


@functools.cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """A folder that ends with the process."""
    return tempfile.TemporaryDirectory(prefix=OURS)


def _of_kept(folder: Path, path: Path, use: Callable[[Path], Used]) -> Used:
    if (folder / MANIFEST).is_file():
        with ThreadPoolExecutor(1) as pool:
            checking = pool.submit(is_whole, folder)
            try:
                used = use(folder)
            except Exception:  # whatever a folder that is not whole can make the libraries raise
                if checking.result():
                    raise
            else:
                if checking.result():
                    return used
    with _set_aside(folder), writing_folder(folder) as new:
        _convert(path, new)
    return use(folder)


@contextlib.contextmanager
def _set_aside(folder: Path) -> Iterator[None]:
    """Make way for a new folder, and then remove what of the old one bears the names of the new.

    What else is in it is not ours, and stays aside; where anything fails, all is as before.

    Raises:
        NotADirectoryError: a file is there, or a link to who knows what.
    """
    if not os.path.lexists(folder):
        yield
        return
    if folder.is_symlink() or not folder.is_dir():
        raise NotADirectoryError(folder)
    old = folder.with_name(f"{folder.name}-{uuid4().hex}")
    folder.rename(old)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # another process has made it
            old.rename(folder)
        raise
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # a folder of this name
            (old / path.name).unlink()
    with contextlib.suppress(OSError):
        old.rmdir()


def _convert(path: Path, folder: Path) -> None:
    """Write the weights, the configuration and the tokenizer that a GGUF file holds."""
    import_quietly()
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # By its whole path, and from an empty folder: nothing beside it, or of its name here, is read.
    alone = {"pretrained_model_name_or_path": str(folder), "gguf_file": str(path.absolute())}
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # progress bars that nothing else silences
            tokenizer = AutoTokenizer.from_pretrained(**alone)
            model, info = AutoModelForCausalLM.from_pretrained(
                **alone, dtype=torch.float32, output_loading_info=True
            )
            _check_positions(path, model.config)
        check_complete(model, info)
    except InputError as error:
        raise InputError(f"{placed(path)}: {error}") from None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # whatever a file can make the libraries raise
        start = f"{placed(path)}: transformers cannot read it: "
        reason = shortened(library_reason(error), MESSAGE - len(start))
        raise InputError(start + reason) from None
    config = model.config.to_dict() | {"architectures": [type(model).__name__]}
    for of_its_reading in ("_name_or_path", "quantization_config"):
        config.pop(of_its_reading, None)
    write_json(folder / CONFIGURATION, config)
    tokenizer.save_pretrained(folder)
    try:
        save_model(model, str(folder / "model.safetensors"), {"format": "pt"})
    except SafetensorError as error:
        raise OSError(library_reason(error)) from None


def _check_positions(path: Path, config: Any) -> None:
    """Refuse a file that scales its rotary positions where transformers passes that over.

    Raises:
        InputError: naming what says so.
    """
    from gguf import GGUFReader

    reader = GGUFReader(path)
    scales = [tensor.name for tensor in reader.tensors if tensor.name.startswith("rope_")]
    scales += [
        key
        for key, field in reader.fields.items()
        if key.endswith(".rope.scaling.type") and field.contents() != "none"
    ]
    rotary = getattr(config.get_text_config(), "rope_parameters", None) or {}
    if scales and rotary.get("rope_type", "default") == "default":
        raise InputError(f"{quoted(scales[0])[1:-1]} scales its positions; transformers ignores it")
