"""Faults of the process: killed, stopped, frozen, multiplied."""

from __future__ import annotations

import random
import time

from kinds import Missed, crash_points, fault
from stage import PARTITIONS, SESSION_MS, START_SECONDS, Stage
from worker import READING, new_file

CRASH_SECONDS = 60
# First words of the crash points that an ingest comes to by itself.
INGEST = ("ticks-", "letters-", "offsets-")


def moment(chance: random.Random) -> float:
    return min(3.0, 0.1 + chance.expovariate(1.5))


def kill(stage: Stage, name: str) -> str:
    worker = stage.workers[name]
    commits = worker.commits()
    stage.replace(name)
    return f"{name} killed after {commits} commits"


@fault("kill-random", weight=30)
def kill_random(stage: Stage, chance: random.Random) -> str:
    name = stage.any_worker(chance)
    stage.working(name)
    time.sleep(moment(chance))
    return kill(stage, name)


@fault("kill-start-up", weight=15)
def kill_start_up(stage: Stage, chance: random.Random) -> str:
    name = stage.any_worker(chance)
    stage.replace(name)
    time.sleep(moment(chance) / 3)
    return kill(stage, name)


@fault("kill-at-data-file", weight=30)
def kill_at_data_file(stage: Stage, chance: random.Random) -> str:
    name = stage.any_worker(chance)
    stage.working(name)
    if not new_file(stage.objects / "ticks", START_SECONDS, ".parquet"):
        raise Missed("no data file came")
    return kill(stage, name)


@fault("kill-at-commit", weight=30)
def kill_at_commit(stage: Stage, chance: random.Random) -> str:
    name = stage.any_worker(chance)
    stage.working(name)
    if not new_file(stage.objects / "ticks" / "_delta_log", START_SECONDS, ".json"):
        raise Missed("no commit came")
    return kill(stage, name)


def crash_at(point: str):
    def act(stage: Stage, chance: random.Random) -> str:
        name, times = stage.any_worker(chance), chance.randint(1, 4)
        worker = stage.replace(name, {"TICKHOUSE_TEST_CRASH": f"{point}:{times}"})
        end = time.monotonic() + CRASH_SECONDS
        while worker.alive() and time.monotonic() < end:
            time.sleep(0.02)
        died, log = not worker.alive(), worker.log.read_text(errors="replace")
        stage.replace(name)
        if not died or "crash point" not in log or point not in log.split("crash point")[1].splitlines()[0]:
            raise Missed(f"crash point {point} did not fire: {worker.tail()}")
        return f"{name} died at {point}, time {times}"

    return act


for _point in (point for point in crash_points() if point.startswith(INGEST)):
    fault(f"crash-{_point}", weight=20, crash_point=True)(crash_at(_point))


@fault("sigterm", weight=15)
def sigterm(stage: Stage, chance: random.Random) -> str:
    name = stage.any_worker(chance)
    worker = stage.working(name)
    time.sleep(moment(chance) / 2)
    line = stage.terminate(worker)
    stage.start(name)
    return line


@fault("sigterm-store-down", store="s3", weight=8)
def sigterm_store_down(stage: Stage, chance: random.Random) -> str:
    """The store hangs, and then the worker is told to stop: what isn't committed is read again."""
    name = stage.any_worker(chance)
    worker = stage.working(name)
    stage.s3.proxy.tell(rule={"method": "PUT|GET|HEAD", "path": stage.topic, "do": "hang", "seconds": 20})
    stage.wait_hits(stage.s3.proxy, 20)
    code, seconds = worker.terminate()
    stage.s3.proxy.tell(rule=None)
    if code not in (0, 1):
        stage.findings.append(f"{name}: SIGTERM beside a store that hangs: {code} after {seconds:.1f} s: {worker.tail()}")
    stage.start(name)
    return f"{name} left with {code} after {seconds:.1f} s"


@fault("zombie", weight=12)
def zombie(stage: Stage, chance: random.Random) -> str:
    name = stage.any_worker(chance)
    worker = stage.working(name)
    time.sleep(moment(chance) / 2)
    rival = stage.launcher.start("rival") if len(stage.workers) == 1 else None
    if rival:
        # Inside of its group before the zombie falls asleep, or asking for it then.
        time.sleep(chance.random())
    worker.pause()
    time.sleep(SESSION_MS / 1000 * (1.2 + chance.random()))
    if rival and not rival.wait_for(READING, START_SECONDS):
        stage.findings.append(f"nobody took over from a stopped worker: {rival.tail()}")
    worker.resume()
    time.sleep(moment(chance) / 2)
    if rival:
        rival.kill()
    return f"{name} stopped past its session, then woken"


@fault("scale-1-3-1", weight=10)
def scale(stage: Stage, chance: random.Random) -> str:
    more = [stage.launcher.start(f"more{number}") for number in range(2)]
    for worker in more:
        worker.wait_for(READING, START_SECONDS)
    time.sleep(moment(chance) / 2)
    for worker in more:
        if chance.random() < 0.5:
            worker.kill()
            continue
        stage.terminate(worker)
    return "two more workers came and went"


@fault("created-at-once", alone=True, weight=6)
def created_at_once(stage: Stage, chance: random.Random) -> str:
    """Workers that all find no lake."""
    stage.produce(2_000)
    count = chance.randint(2, 4)
    for number in range(count):
        stage.workers[f"worker{number}"] = stage.launcher.start(f"worker{number}")
    if stage.next_commit(0, START_SECONDS) is None:
        stage.findings.append(f"{count} workers at once, and no commit within {START_SECONDS} s")
    stage.produce(2_000)
    stage.expect_alive()
    stage.finish()
    return f"{count} workers on a fresh lake of {PARTITIONS} partitions"
