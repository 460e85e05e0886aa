"""A Ray cluster of two nodes on one machine, whose workers and nodes can be taken from a run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

LONGEST = 120  # seconds, on a machine that has much else to do


@dataclass
class TwoNodes:
    """The cluster: a node that stays, and one that can be removed, with one worker each."""

    cluster: Any
    other: Any

    @property
    def address(self) -> str:
        """Where it is joined."""
        return str(self.cluster.address)

    def running(self) -> list[int]:
        """The processes that run a part just now, on any of its nodes."""
        return self._workers("ray::_run")

    def _workers(self, called: str) -> list[int]:
        """The processes that Ray calls so, after what they do."""
        listed = subprocess.run(
            ["ps", "-eo", "pid=,ppid=,args="], capture_output=True, encoding="utf-8", check=True
        )
        nodes = {
            one.process.pid
            for node in (self.cluster.head_node, self.other)
            for one in node.all_processes.get("raylet", [])
        }
        found = (line.split(maxsplit=2) for line in listed.stdout.splitlines())
        return [
            int(pid)
            for pid, parent, command in found
            if int(parent) in nodes and command.startswith(called)
        ]

    def one_running(self, rng: random.Random) -> int:
        """One of them, once there is one."""
        wait_for(self.running)
        return rng.choice(self.running() or [self.one_running(rng)])

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Hold every worker, whether it runs a part just now or waits for one."""
        held = self._workers("ray::")
        assert held
        for worker in held:
            os.kill(worker, signal.SIGSTOP)
        try:
            yield
        finally:
            for worker in held:
                os.kill(worker, signal.SIGCONT)

    def remove_node(self) -> None:
        """Take a node away, with the worker on it, and whatever it holds."""
        self.cluster.remove_node(self.other, allow_graceful=False)

    def add_node(self) -> None:
        """Bring a node in its place."""
        self.other = self.cluster.add_node(num_cpus=1)


@contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """The cluster, with nobody joined."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        yield TwoNodes(cluster, cluster.add_node(num_cpus=1))
    finally:
        cluster.shutdown()


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
