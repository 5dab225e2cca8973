"""Maintenance beside ingest: killed, at its crash points, several at once. Ingest must not notice, and no row may change.
Then the log of a lake that another tool writes to as well: what is cleaned from it must not be the counters."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time

from kinds import Missed, fault
from stage import START_SECONDS, Stage
from delta_log import Folder, read_table
from worker import Worker

POINTS = ("compacted", "replacing", "replaced", "vacuuming")
END_SECONDS = 180
WEEK = 8 * 24 * 3600
ORPHAN = "part-00000000-0000-4000-8000-000000000000.zstd.parquet"


def maintain(stage: Stage, crash: str | None = None) -> Worker:
    """A `maintain` that takes every date for settled and minds no other one."""
    launcher = stage.launcher
    launcher.started += 1
    store = [flag for at, flag in enumerate(launcher.flags) if "s3" in flag or at and launcher.flags[at - 1].startswith("--s3-") and not flag.startswith("-")]
    command = [str(stage.binary), "maintain", "--table", launcher.table, *store, "--settled-after", "0s", "--ignore-lease", "--log", "info"]
    environment = os.environ | launcher.environment | {"NO_COLOR": "1"} | ({"TICKHOUSE_TEST_CRASH": crash} if crash else {})
    log = launcher.folder / f"maintain-{launcher.started:04}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
    return Worker("maintain", process, log)


def ended(stage: Stage, worker: Worker) -> None:
    """One that was not killed says why it ended; a store that fails is no reason here."""
    try:
        code = worker.process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        code = None
    if code != 0:
        stage.findings.append(f"maintain ended with {code}: {worker.tail()}")


def crumbs(stage: Stage, chance: random.Random) -> None:
    """Ingest is at work, and there are files to make one of."""
    stage.working(stage.any_worker(chance))
    before, end = stage.version(), time.monotonic() + START_SECONDS
    while stage.version() < before + 3 and time.monotonic() < end:
        time.sleep(0.02)


@fault("maintain-kill", weight=20)
def maintain_kill(stage: Stage, chance: random.Random) -> str:
    crumbs(stage, chance)
    runs = [maintain(stage) for _ in range(chance.choice((1, 1, 2)))]
    time.sleep(chance.uniform(0.05, 1.5))
    killed = 0
    for run in runs:
        run.kill()
        killed += run.process.returncode == -signal.SIGKILL
        if run.process.returncode not in (0, -signal.SIGKILL):
            stage.findings.append(f"maintain ended with {run.process.returncode}: {run.tail()}")
    return f"{killed} of {len(runs)} maintenance runs killed"


@fault("maintain-twice", weight=10)
def maintain_twice(stage: Stage, chance: random.Random) -> str:
    crumbs(stage, chance)
    runs = [maintain(stage) for _ in range(2)]
    for run in runs:
        ended(stage, run)
    return "two maintenance runs at once"


def orphan(stage: Stage) -> None:
    """What a writer left that was killed a week ago."""
    some = next((path for path in (stage.objects / "ticks").glob("trade_date=*/*.parquet") if path.name != ORPHAN), None)
    if some is None:
        raise Missed("there is no data file")
    old = some.with_name(ORPHAN)
    shutil.copy(some, old)
    os.utime(old, (time.time() - WEEK, time.time() - WEEK))


def crash_at(point: str):
    def act(stage: Stage, chance: random.Random) -> str:
        end = time.monotonic() + END_SECONDS
        while time.monotonic() < end:
            crumbs(stage, chance)
            if point == "vacuuming":
                orphan(stage)
            run = maintain(stage, f"{point}:1")
            run.process.wait(END_SECONDS)
            log = run.log.read_text(errors="replace")
            if "crash point" in log and point in log.split("crash point")[1].splitlines()[0]:
                return f"maintenance died at {point}"
            if run.process.returncode != 0:
                raise Missed(f"crash point {point}: exit {run.process.returncode}: {run.tail()}")
        raise Missed(f"crash point {point} did not fire: nothing was to be done")

    return act


for _point in POINTS:
    # Objects of the S3 server have no time that a test can set.
    fault(f"crash-{_point}", weight=8, crash_point=True, store="local" if _point == "vacuuming" else None)(crash_at(_point))


def foreign_commit(stage: Stage) -> None:
    """As an ALTER TABLE of another Delta writer: no file, and no word about offsets."""
    log = stage.objects / "ticks" / "_delta_log"
    info = {"timestamp": int(time.time() * 1000), "operation": "SET TBLPROPERTIES", "engineInfo": "Apache-Spark/4.2.0"}
    actions = [{"commitInfo": info}, {"txn": {"appId": "somebody", "version": 1}}]
    (log / f"{stage.version() + 1:020}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))


def counted(stage: Stage) -> dict:
    record = read_table(Folder(stage.objects / "ticks")).record
    return record["partitions"] if record else {}


def healthy(stage: Stage) -> None:
    done = stage.command("verify", "--table", stage.launcher.table)
    if done.returncode != 0:
        stage.findings.append(f"verify ended with {done.returncode}: {done.stdout[-2000:]}")


@fault("log-cleaned-foreign-last", store="local", alone=True, weight=3)
def cleaned_foreign_last(stage: Stage, chance: random.Random) -> str:
    """A week without ticks after the commit of another tool, and our own clean-up."""
    stage.produce(chance.randint(100, 1_200))
    # One file a date: a compaction would make a young commit, and keep the log behind it for time travel.
    stage.expect_ingest("--flush-interval", "60s")
    for _ in range(chance.randint(1, 3)):
        foreign_commit(stage)
    before = counted(stage)
    for file in (stage.objects / "ticks" / "_delta_log").glob("*.*"):
        os.utime(file, (time.time() - WEEK, time.time() - WEEK))
    ended(stage, maintain(stage))
    if (stage.objects / "ticks" / "_delta_log" / f"{0:020}.json").exists():
        raise Missed("nothing was cleaned from the log")
    if counted(stage) != before:
        stage.findings.append(f"the clean-up left the counters {counted(stage)}, they were {before}")
    healthy(stage)
    stage.produce(200)
    stage.expect_ingest()
    stage.check()
    return f"the counters of {len(before)} partitions stayed in the log"


@fault("log-cleaned-by-another", store="local", alone=True, weight=3)
def cleaned_by_another(stage: Stage, chance: random.Random) -> str:
    """Another tool leaves a checkpoint and no commit: the tables are counted again."""
    for _ in range(chance.randint(1, 3)):
        stage.produce(chance.randint(100, 400))
        stage.expect_ingest()
    foreign_commit(stage)
    before = counted(stage)
    ended(stage, maintain(stage))
    newest = stage.version()
    for file in (stage.objects / "ticks" / "_delta_log").glob("*.json"):
        file.unlink()
    shown = stage.command("verify", "--table", stage.launcher.table)
    if shown.returncode != 4 or "counters-missing" not in shown.stdout:
        stage.findings.append(f"verify ended with {shown.returncode} without counters: {shown.stdout[-2000:]}")
    stage.produce(200)
    stage.expect_ingest()
    after = counted(stage)
    for partition, was in before.items():
        if any(after[partition][name] < was[name] for name in ("first", "next", "rows", "stored_offsets", "dead")):
            stage.findings.append(f"partition {partition} was counted {was}, and is counted {after[partition]} now")
    healthy(stage)
    stage.check()
    return f"counted again after version {newest}"
