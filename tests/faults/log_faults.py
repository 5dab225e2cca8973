"""A Delta log that is damaged: refused by a name and an exit code, nothing written, and read on once it is repaired."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Callable

from kinds import Missed, fault
from stage import Stage

COMMITS = 14
COMMIT_SECONDS = 30


def grown(stage: Stage, chance: random.Random) -> Path:
    """A lake of some commits with a checkpoint, and messages beyond it; its log."""
    worker = stage.start("grower")
    for _ in range(COMMITS):
        before = stage.version()
        stage.produce(20 + chance.randrange(80))
        if stage.next_commit(before, COMMIT_SECONDS) is None:
            raise Missed(f"no commit within {COMMIT_SECONDS} s: {worker.tail()}")
    stage.stop_workers()
    stage.produce(100)
    return stage.objects / "ticks" / "_delta_log"


def damaging(name: str, words: list[str], damage: Callable[[Path, random.Random], Path]):
    """`damage` breaks one file of the log and returns its path; a copy of it repairs."""

    @fault(name, store="local", alone=True, weight=3)
    def act(stage: Stage, chance: random.Random) -> str:
        log = grown(stage, chance)
        copy = stage.folder / "log.before"
        shutil.copytree(log, copy)
        file = damage(log, chance)
        stage.expect_refusal(1, [file.name, *words])
        # A damaged one beside the whole ones would be damage of another kind.
        file.unlink(missing_ok=True)
        shutil.copy(copy / file.name, file)
        hint = copy / "_last_checkpoint"
        if hint.exists():
            shutil.copy(hint, log / hint.name)
        stage.expect_ingest()
        stage.check()
        return f"{file.name} refused, and read on when it was repaired"

    return act


def commits(log: Path) -> list[Path]:
    return sorted(path for path in log.glob("*.json") if path.stem.isdigit())


def empty(log: Path, chance: random.Random) -> Path:
    newest = commits(log)[-1]
    newest.write_bytes(b"")
    return newest


def torn(log: Path, chance: random.Random) -> Path:
    newest = commits(log)[-1]
    whole = newest.read_bytes()
    newest.write_bytes(whole[: chance.randrange(1, len(whole) - 2)])
    return newest


def gap(log: Path, chance: random.Random) -> Path:
    """After the newest checkpoint: what is before it nobody reads."""
    found = sorted(log.glob("*.checkpoint.parquet"))
    begin = int(found[-1].name.split(".")[0]) + 1 if found else 0
    between = [path for path in commits(log)[:-1] if int(path.stem) >= begin]
    if not between:
        raise Missed("there is no commit between the checkpoint and the newest")
    gone = chance.choice(between)
    gone.unlink()
    return gone


def bad_checkpoint(log: Path, chance: random.Random) -> Path:
    found = sorted(log.glob("*.checkpoint.parquet"))
    if not found:
        raise Missed("there is no checkpoint")
    whole = found[-1].read_bytes()
    found[-1].write_bytes(whole[: len(whole) // 2])
    return found[-1]


damaging("log-empty-commit", ["damaged"], empty)
damaging("log-torn-commit", ["damaged"], torn)
damaging("log-bad-checkpoint", ["damaged"], bad_checkpoint)
damaging("log-gap", [], gap)
