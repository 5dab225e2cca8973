"""Kafka no longer has what comes next: exit code 3, nothing written, and the way out that the error names."""

from __future__ import annotations

import random
import shlex
import shutil
import subprocess
import time
from pathlib import Path

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from kinds import Missed, fault
from producer import Source, make_topic
from stage import PARTITIONS, START_SECONDS, Finished, Stage
from worker import READING

DATA_LOSS = 3
#: Of a client that finds its broker again, and a session that is over.
STOP_SECONDS = 120


def way_out(stage: Stage, stopped: Finished) -> None:
    """Runs the commands that the error prints, as they are."""
    lines = [line.strip() for line in stopped.output.splitlines() if line.startswith("  tickhouse offsets set ")]
    if len(lines) != 1:
        stage.findings.append(f"the error names {len(lines)} commands: {stopped.output[-2000:]}")
        return
    words = shlex.split(lines[0])
    done = stage.command(*words[1:])
    if done.returncode != 0:
        stage.findings.append(f"{lines[0]}: exit code {done.returncode}: {done.stderr[-2000:]}")


@fault("retention-passed", alone=True, weight=4)
def retention_passed(stage: Stage, chance: random.Random) -> str:
    stage.produce(1_000)
    stage.expect_ingest()
    stage.produce(1_000)
    nexts = stage.next_offsets()
    admin = AdminClient({"bootstrap.servers": stage.kafka.direct})
    gone = {number: chance.randint(1, 50) for number in chance.sample(range(PARTITIONS), chance.randint(1, PARTITIONS))}
    asked = [TopicPartition(stage.topic, number, nexts[number] + count) for number, count in gone.items()]
    for future in admin.delete_records(asked).values():
        future.result(timeout=30)
    stage.lost = sum(gone.values())
    stopped = stage.expect_refusal(DATA_LOSS, ["offsets are gone"])
    if chance.random() < 0.5:
        stage.expect_ingest("--on-data-loss", "earliest")
        how = "--on-data-loss earliest"
    else:
        # Each run names one partition.
        for _ in gone:
            way_out(stage, stopped)
            stopped = stage.ingest(name="after-way-out")
            if stopped.code == 0:
                break
        how = "offsets set"
    stage.produce(200)
    stage.expect_ingest()
    stage.check(expected=False, first="any")
    return f"{stage.lost} offsets of {len(gone)} partitions gone: stopped with {DATA_LOSS}, went on by {how}"


@fault("topic-recreated", alone=True, weight=4)
def topic_recreated(stage: Stage, chance: random.Random) -> str:
    stage.produce(500)
    stage.expect_ingest()
    admin = AdminClient({"bootstrap.servers": stage.kafka.direct})
    admin.delete_topics([stage.topic])[stage.topic].result(timeout=30)
    end = time.monotonic() + 30
    while stage.topic in admin.list_topics(timeout=10).topics and time.monotonic() < end:
        time.sleep(0.1)
    make_topic(stage.kafka.direct, stage.topic, PARTITIONS)
    stage.source.finish()
    stage.source = Source(stage.kafka.direct, stage.topic, stage.plan.rate, stage.plan.poison, stage.plan.seed, 100, stage.expected)
    # Longer or shorter than before.
    count = chance.choice((100, 1_500))
    stage.produce(count)
    stopped = stage.expect_refusal(DATA_LOSS, ["recreated"])
    way_out(stage, stopped)
    stage.expect_ingest()
    stage.check()
    if stage.summary.get("epoch") != 1:
        stage.findings.append(f"the epoch is {stage.summary.get('epoch')}, expected 1")
    return f"refused with {DATA_LOSS}, and read from its beginning as epoch 1"


def lose_the_end(stage: Stage, copies: dict[int, Path]) -> None:
    """The broker dies and comes back with the logs of before, as an older replica that is elected uncleanly."""
    data = stage.ground.folder / "kafka" / "data"
    stage.ground.kill_kafka()
    for number, copy in copies.items():
        log = data / f"{stage.topic}-{number}"
        shutil.rmtree(log)
        shutil.copytree(copy, log)
        for snapshot in log.glob("*.snapshot"):
            snapshot.unlink()
    # What the broker knew of the logs is older or newer than they are.
    for stale in (*data.glob("*checkpoint"), data / ".kafka_cleanshutdown"):
        stale.unlink(missing_ok=True)
    stage.ground.restart_kafka()


def copied(stage: Stage) -> dict[int, Path]:
    copies = {}
    for number in range(PARTITIONS):
        copies[number] = stage.folder / "logs" / str(number)
        shutil.copytree(stage.ground.folder / "kafka" / "data" / f"{stage.topic}-{number}", copies[number])
    return copies


@fault("log-truncated", store="local", alone=True, weight=4)
def log_truncated(stage: Stage, chance: random.Random) -> str:
    """Kafka loses messages that the lake has, and grows past them: under a running ingest that has read something since
    its assignment, under one that has not, and while none runs."""
    how = chance.choice(("busy", "idle", "stopped"))
    stage.produce(chance.randint(200, 600))
    copies = copied(stage)
    stage.produce(chance.randint(200, 600))
    stage.expect_ingest()
    if how != "stopped":
        worker = stage.start("reader")
        if not worker.wait_for(READING, START_SECONDS):
            raise Missed(f"the worker got no partition: {worker.tail()}")
        if how == "busy":
            before = stage.version()
            stage.produce(200)
            if stage.next_commit(before, START_SECONDS) is None:
                raise Missed(f"no commit: {worker.tail()}")
        worker.pause()
    stage.source.finish()
    lose_the_end(stage, copies)
    before = stage.version()
    # Another producer: the sequences of the first one are gone with the messages.
    stage.source = Source(stage.kafka.direct, stage.topic, stage.plan.rate, stage.plan.poison, stage.plan.seed, 100, stage.expected)
    stage.produce(3_000)
    if how == "stopped":
        stopped = stage.expect_refusal(DATA_LOSS, ["lost the end of its log"])
    else:
        worker.resume()
        try:
            code = worker.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        stopped = Finished(code, worker.log.read_text(errors="replace"))
        if code != DATA_LOSS or "lost the end of its log" not in stopped.output:
            stage.findings.append(f"{how}: expected exit code {DATA_LOSS}, got {code}: {worker.tail()}")
        if stage.version() != before:
            stage.findings.append(f"{how}: ticks went from version {before} to {stage.version()} over a log that lost its end")
        del stage.workers["reader"]
    again = stage.ingest(name="again")
    if again.code != DATA_LOSS:
        stage.findings.append(f"{how}: a second start ended with {again.code}: {again.output[-2000:]}")
    done = stage.command("offsets", "set", "--table", stage.launcher.table, "--brokers", stage.kafka.direct, "--new-epoch", "--reason", "lost")
    if done.returncode != 0:
        stage.findings.append(f"offsets set --new-epoch ended with {done.returncode}: {done.stderr[-2000:]}")
    stage.expect_ingest()
    stage.check(expected=False)
    return f"{how}: stopped with {DATA_LOSS}, and read from its beginning as epoch 1"
