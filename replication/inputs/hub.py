"""The hub: the files of a model or of a dataset, from the hub's cache or fetched into it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

from replication.inputs.files import InputError
from replication.inputs.messages import library_reason, quoted, system_reason

Kind = Literal["model", "dataset"]
HUB_TIMEOUT_SECONDS = 5
WEIGHT_FILES = ["*.safetensors", "pytorch_model*.bin"]
_MODEL_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
# Seen from the command, whose option it is, and from pytest.
MODEL_HINT = "--model, or pytest's --replication-model, takes a local folder"


class NotAtHand(InputError):
    """What comes from elsewhere cannot be had here; the message says where it was looked for."""


def cache_of_hub() -> Path:
    """The folder of what was fetched from the hub."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def cached_folder(kind: Kind, name: str, revision: str | None) -> Path | None:
    """The folder of what an earlier run fetched, without asking the hub; None if there is none."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        cached = Path(
            snapshot_download(name, repo_type=kind, revision=revision, local_files_only=True)
        )
    except (HFValidationError, LocalEntryNotFoundError, OSError, ValueError):
        return None
    return cached if kind == "dataset" or has_weights(cached) else None


def hub_folder(kind: Kind, name: str, revision: str | None) -> Path:
    """The folder of a model's or a dataset's files; its name is the commit that they are of.

    Raises:
        NotAtHand: neither the cache nor the hub gives it.
    """
    found = _from_hub(kind, name, revision)
    if isinstance(found, str):
        raise NotAtHand(found)
    return found


@functools.cache
def _from_hub(kind: Kind, name: str, revision: str | None) -> Path | str:
    """The folder, or why there is none, asked once in a run."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = functools.partial(snapshot_download, name, repo_type=kind, revision=revision)
    patterns = _MODEL_FILES if kind == "model" else None
    shown = quoted(name)[1:-1]
    if revision is not None:
        shown += f" at revision {quoted(revision)[1:-1]}"
    try:
        cached = Path(wanted(local_files_only=True, allow_patterns=patterns))
        if kind == "dataset" or has_weights(cached):
            return cached
    except HFValidationError:
        return f"{quoted(name)} is neither a folder here nor a possible name on the hub"
    except LocalEntryNotFoundError:
        pass
    except (OSError, ValueError) as error:
        return f"{shown} cannot be looked up in the hub's cache: {system_reason(error)}"
    if refusal := _hub_refusal(kind, name, revision):
        hint = f"; {MODEL_HINT}" if kind == "model" else ""
        return f"{shown} is not in the hub's cache, and {refusal}{hint}"
    try:
        fetched = Path(wanted(allow_patterns=patterns))
        if kind == "model" and not has_weights(fetched):
            wanted(allow_patterns=WEIGHT_FILES)
        return fetched
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        return f"{shown} could not be fetched from the hub: {library_reason(error)}"


def _hub_refusal(kind: Kind, name: str, revision: str | None) -> str | None:
    """Why the hub does not give this; None if it does.

    The hub client repeats a failed request for half a minute, so the first question is put
    without it.
    """
    from urllib.parse import quote

    import httpx
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids asking the hub"
    address = f"{constants.ENDPOINT}/api/{kind}s/{name}"
    try:
        answer = httpx.get(
            address if revision is None else f"{address}/revision/{quote(revision, safe='')}",
            headers={"authorization": f"Bearer {token}"} if (token := get_token()) else {},
            timeout=HUB_TIMEOUT_SECONDS,
            follow_redirects=True,
        )
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return f"the hub did not answer ({type(error).__name__})"
    return None if answer.is_success else f"the hub answered with status {answer.status_code}"


def has_weights(folder: Path) -> bool:
    """Whether a model's weights are in the folder."""
    return any(next(folder.glob(pattern), None) for pattern in WEIGHT_FILES)
