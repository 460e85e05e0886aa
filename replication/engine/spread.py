"""Spread: a model that is loaded, and whoever runs it.

That is this process or a cluster, and of a run that goes on, the one that was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import NamedTuple

from replication.engine.kept_parts import check_parts, keeping
from replication.engine.models import Device, LoadedModel, Workers
from replication.engine.ray_workers import connected, ray_workers


class Spread(NamedTuple):
    """Where the parts of a run are run, and where they are kept until it is done with.

    `ray` is the address of a cluster, `parts` a folder or a URL; None for this process alone, and
    for parts that are not kept.
    """

    ray: str | None = None
    parts: str | None = None
    resume: bool = False


THIS_PROCESS = Spread()


@contextmanager
def loaded(
    load: Callable[[], LoadedModel], device: Device, spread: Spread
) -> Iterator[LoadedModel]:
    """The model, run as it is spread; what was kept of its parts is removed at the end.

    Raises:
        InputError: as loading does; or there is no such cluster, or no such place for parts.
    """
    if spread.ray is not None:
        connected(spread.ray)
    if spread.parts is not None:
        check_parts(spread.parts, resume=spread.resume)
    model = load()
    workers: Workers = model
    with ExitStack() as stack:
        if spread.ray is not None:
            workers = ray_workers(spread.ray, load, model, device)
        if spread.parts is not None:
            workers = stack.enter_context(keeping(spread.parts, workers, model.provenance))
        yield replace(model, workers=workers)
