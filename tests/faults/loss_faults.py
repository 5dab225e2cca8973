"""Kafka no longer has what comes next: exit code 3, nothing written, and the way out that the error names."""

from __future__ import annotations

import random
import shlex
import time

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from kinds import fault
from producer import Source, make_topic
from stage import PARTITIONS, Finished, Stage

DATA_LOSS = 3


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
