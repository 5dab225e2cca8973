"""The kinds of faults: a name, what it needs, and the function that does it. A new kind is a function with a decorator
in one of the modules that `load` names; a new crash point of src/util/crash.rs becomes a kind by itself."""

from __future__ import annotations

import importlib
import random
import re
from dataclasses import dataclass
from typing import Callable

from servers import REPOSITORY

MODULES = ("process_faults", "kafka_faults", "store_faults", "input_faults", "log_faults", "loss_faults", "maintain_faults")
MODULES += ("away_faults", "end_faults")
CRASH_POINT = re.compile(r'Self::\w+ => "([a-z-]+)"')


class Missed(Exception):
    """The fault did not strike: the run shows nothing about it."""


@dataclass(frozen=True)
class Kind:
    name: str
    act: Callable[[object, random.Random], str]
    """s3 or local; None: either."""
    store: str | None = None
    """3: of a cluster only."""
    brokers: int = 1
    """How often, beside the others."""
    weight: int = 10
    """On a topic and a lake of its own, not under the load of a round."""
    alone: bool = False
    """Needs a lake on a disk that the test can fill and unmount."""
    disk: bool = False
    """Of the topic of a kind that stands alone."""
    topic: dict[str, str] | None = None
    """Needs a binary with crash points: a development build, or one with the cargo feature `faults`."""
    crash_point: bool = False


KINDS: dict[str, Kind] = {}


def fault(name: str, **needs):
    """Registers `act(stage, random)`, which returns a line that says what it did."""

    def register(act):
        if name in KINDS:
            raise ValueError(f"two kinds of faults are named {name}")
        KINDS[name] = Kind(name, act, **needs)
        return act

    return register


def crash_points() -> list[str]:
    """Those of a replay are walked by tests/check/replay_kill.py."""
    points = CRASH_POINT.findall((REPOSITORY / "src" / "util" / "crash.rs").read_text())
    return [point for point in points if not point.startswith("replay-")]


def load() -> dict[str, Kind]:
    for module in MODULES:
        importlib.import_module(module)
    return KINDS
