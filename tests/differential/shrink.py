"""Makes a statement that the engines answer differently smaller, and its lake, while they still differ."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Callable

import lakes
from ask import Asked, Difference, Pair
from queries import Statement
from tree import Node, size, smaller

SECONDS = 90


def statement(pair: Pair, begun: Difference, deadline: float) -> Difference:
    """The smallest statement that is found by steps that each keep a difference of the same kind."""
    best = begun
    changed = True
    while changed and time.monotonic() < deadline:
        changed = False
        tried = set()
        candidates = sorted(smaller(best.statement.sql), key=size)
        for sql in candidates:
            if time.monotonic() > deadline:
                break
            if not isinstance(sql, Node) or size(sql) >= size(best.statement.sql) or sql in tried:
                continue
            tried.add(sql)
            found = pair.difference(Statement(sql, False))
            if found and found.kind == begun.kind:
                best, changed = found, True
                break
    return best


def rows(ticks: list[dict], differs: Callable[[list[dict]], bool], deadline: float) -> list[dict]:
    """Halves, quarters .. of the rows are left out while the difference stays."""
    part = max(len(ticks) // 2, 1)
    while part and time.monotonic() < deadline:
        at, shorter = 0, False
        while at < len(ticks) and time.monotonic() < deadline:
            less = ticks[:at] + ticks[at + part :]
            if differs(less):
                ticks, shorter = less, True
            else:
                at += part
        if not shorter or part > len(ticks):
            part //= 2
    return ticks


def shrunk(asked: Asked, found: Difference, ticks: list[dict]) -> tuple[Difference, list[dict]]:
    deadline = time.monotonic() + SECONDS
    with tempfile.TemporaryDirectory() as folder:
        lakes.write(Path(folder), ticks, asked.seed)
        with asked.pair(Path(folder)) as pair:
            best = statement(pair, found, deadline)

    def differs(less: list[dict]) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            lakes.write(Path(folder), less, asked.seed)
            with asked.pair(Path(folder)) as pair:
                again = pair.difference(best.statement)
                return bool(again and again.kind == found.kind)

    left = rows(ticks, differs, deadline + SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        lakes.write(Path(folder), left, asked.seed)
        with asked.pair(Path(folder)) as pair:
            again = pair.difference(best.statement)
    return replace(again, kind=found.kind) if again else best, left
