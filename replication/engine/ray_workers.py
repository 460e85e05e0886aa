"""Ray: parts run by the workers of a cluster, each of which loads the model once.

Ray places parts, runs again what is lost with a worker or a node, and holds what waits; nothing
here does any of it. A part is a task, and a worker a process of Ray's that keeps its model between
tasks.
"""

from __future__ import annotations

import logging
import os
import platform
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import uuid4

from replication.engine.models import Advance, Device, Done, LoadedModel, Part
from replication.engine.provenance import Provenance
from replication.inputs.files import InputError
from replication.inputs.hub import NotAtHand
from replication.inputs.messages import library_reason, quoted

Load = Callable[[], LoadedModel]

TRIES = 3  # of a part, before the run ends
WAITING = 2  # parts a worker that are handed to Ray beyond those that run

HEARD = "RAY_LOG_TO_DRIVER"  # Ray's own variable: 1 lets what it says reach the terminal
PATIENCE = "RAY_gcs_server_port_wait_time_s"  # Ray's too: how often it tries to join a cluster
SECONDS = 10  # for a cluster to answer in
# What Ray says even where its logs are not wanted, its events, and what it tells its makers.
QUIET = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


class _Job(NamedTuple):
    """What a worker has to know of a run: how its model is loaded, and what it must be."""

    name: str
    load: Load
    provenance: Provenance
    threads: int


class _Refused(NamedTuple):
    """Why a worker cannot run a part; another try would say the same."""

    reason: str


@dataclass(frozen=True)
class RayWorkers:
    """The workers of a cluster, as many as it has room for."""

    job: Any  # a reference to what every worker is told
    task: Any  # the function that Ray runs
    n_workers: int

    def done(self, parts: Iterable[Part], advance: Advance) -> Iterator[Done]:
        """What comes out of every part, in their order.

        A few are handed to Ray beyond those that run, so that no worker waits for the next one.

        Raises:
            InputError: naming its pairs: a part failed three times; or as the part itself does.
        """
        import ray

        waiting: deque[tuple[Part, Any]] = deque()
        try:
            for part in parts:
                waiting.append((part, self.task.remote(self.job, part)))
                if len(waiting) > (1 + WAITING) * self.n_workers:
                    yield _came_out(*waiting.popleft(), advance)
            while waiting:
                yield _came_out(*waiting.popleft(), advance)
        finally:
            for _, reference in waiting:
                ray.cancel(reference)


def _came_out(part: Part, reference: Any, advance: Advance) -> Done:
    import ray

    try:
        found: Done | _Refused = ray.get(reference)
    except ray.exceptions.RayError as error:
        raise InputError(f"{part.about}: failed {TRIES} times: {_reason(error)}") from None
    if isinstance(found, _Refused):
        raise InputError(found.reason)
    advance(part.size)
    return found


def _reason(error: Exception) -> str:
    """Why a task failed: the worker's own reason, without where in its code."""
    cause = getattr(error, "cause", None)
    return library_reason(error) if cause is None else library_reason(cause)


def ray_workers(address: str, load: Load, model: LoadedModel, device: Device) -> RayWorkers:
    """The workers of the cluster at an address, for a model that each loads as this process did.

    `local` starts a cluster of this machine alone, `auto` joins the one of the environment. A
    worker has one GPU where the cluster has any and the device may be one; else as many threads as
    this process, as the last digits hang on them.

    Raises:
        InputError: there is no such cluster, no room in it for a worker, or Ray is not installed.
    """
    import torch

    ray = connected(address)
    threads = torch.get_num_threads()
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    has_gpus = device in ("auto", "cuda") and any(node.get("GPU") for node in nodes)
    needs = {"GPU": 1, "CPU": 1} if has_gpus else {"CPU": threads}
    n_workers = sum(
        min(int(node.get(kind, 0)) // count for kind, count in needs.items()) for node in nodes
    )
    if not n_workers:
        most = max((int(node.get("CPU", 0)) for node in nodes), default=0)
        raise InputError(
            f"--ray {quoted(address)}: a worker takes {threads} cores, as many as this process"
            f" has threads, and no node has more than {most}; set OMP_NUM_THREADS to fewer"
        )
    task = ray.remote(
        num_cpus=needs["CPU"],
        num_gpus=needs.get("GPU", 0),
        max_retries=TRIES - 1,
        retry_exceptions=True,
        max_calls=0,  # a worker with a GPU would end after each
    )(_run)
    job = _Job(uuid4().hex, load, model.provenance, threads)
    return RayWorkers(ray.put(job), task, n_workers)


def connected(address: str) -> Any:
    """Ray, in this process' cluster, which it stays in until it ends.

    Raises:
        InputError: Ray is not installed, or there is no such cluster.
    """
    is_heard = os.environ.get(HEARD) == "1"
    for name, value in (QUIET if not is_heard else {}).items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise InputError(
            "--ray: Ray is not installed; `pip install 'pytest-circuit-replication[ray]'` brings it"
        ) from None
    if ray.is_initialized():
        return ray
    level = logging.INFO if is_heard else logging.ERROR
    try:
        _check_answers(address)
        with _own_sigterm(), nullcontext() if is_heard else _nothing_on_standard_error():
            ray.init(address, logging_level=level, log_to_driver=is_heard)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"--ray {quoted(address)}: {library_reason(error)}") from None
    return ray


def _check_answers(address: str) -> None:
    """Ask for a connection to a cluster that is to be joined, for which Ray waits a quarter hour.

    Raises:
        OSError: nothing listens there.
    """
    if address == "local":
        return
    os.environ.setdefault(PATIENCE, "1")
    stated = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    host, _, port = stated.rpartition(":")
    if host and "://" not in stated and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()
        except (OSError, OverflowError) as error:
            raise ConnectionError(f"nothing answers at {stated}: {library_reason(error)}") from None


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep this process' way to end on SIGTERM; while Ray starts it has one of its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    own = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as end:
        if end.code == signal.SIGTERM:  # Ray's
            raise SystemExit(128 + signal.SIGTERM) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, own)


@contextmanager
def _nothing_on_standard_error() -> Iterator[None]:
    """Keep off the terminal what a library writes there past Python."""
    sys.stderr.flush()
    with open(os.devnull, "wb") as nowhere:
        own = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(own, 2)
            os.close(own)


# Of a worker: the model of the run that it takes part in, by the run's name.
_LOADED: dict[str, LoadedModel] = {}


def _run(job: _Job, part: Part) -> Done | _Refused:
    """Run a part, in a worker."""
    try:
        if job.name not in _LOADED:
            _LOADED.clear()
            _LOADED[job.name] = _loaded(job)
        (done,) = _LOADED[job.name].done([part], lambda _: None)
    except (InputError, NotAtHand) as error:
        return _Refused(str(error))
    return done


def _loaded(job: _Job) -> LoadedModel:
    """The worker's own model, which must be the one of the process that asks.

    Raises:
        InputError: naming the worker's machine, and what differs there.
    """
    import torch

    torch.set_num_threads(job.threads)
    where = f"the worker on {platform.node()}"
    try:
        model = job.load()
    except (InputError, NotAtHand) as error:
        raise InputError(f"{where}: {error}") from None
    for what, found, expected in _held_together(model.provenance, job.provenance):
        if found != expected:
            raise InputError(f"{where} has {what} {found}, and this process {expected}")
    return model


def _held_together(one: Provenance, other: Provenance) -> Iterator[tuple[str, str, str]]:
    """What has to be the same of a worker's model and of the asking process'."""
    own = "pytest-circuit-replication"
    yield "weights of SHA-256", one.weights_sha256, other.weights_sha256
    yield (
        "a configuration of SHA-256",
        str(one.configuration_sha256),
        str(other.configuration_sha256),
    )
    yield "a tokenizer of SHA-256", one.tokenizer_sha256, other.tokenizer_sha256
    yield own, one.versions[own], other.versions[own]
