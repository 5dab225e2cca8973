"""Where an ingest begins and ends: exit code 0 of --until-latest, and partitions that are added to a lake that began at the
end of its topic."""

from __future__ import annotations

import random
import subprocess
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from delta_log import Folder, read_table
from kinds import Missed, fault
from stage import PARTITIONS, START_SECONDS, Stage
from worker import READING

# It tries for a minute, and leaves.
GIVES_UP_SECONDS = 120
REFRESH_SECONDS = 2


@fault("until-latest-brokers-gone", alone=True, weight=3)
def until_latest_brokers_gone(stage: Stage, chance: random.Random) -> str:
    """Exit code 0 would mean that everything was read."""
    stage.produce(30_000)
    # Read slowly enough that the brokers go while most of it is unread.
    stage.kafka.proxy.tell(mode="slow", seconds=0.2)
    worker = stage.launcher.start("gone", "--until-latest", "--flush-rows", "500", "-X", "fetch.message.max.bytes=20000")
    if not worker.wait_for(b" committed version=", START_SECONDS):
        raise Missed(f"no commit within {START_SECONDS} s: {worker.tail()}")
    stage.kafka.proxy.tell(mode=chance.choice(("cut", "silent")))
    begun = time.monotonic()
    try:
        code = worker.process.wait(GIVES_UP_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        code = None
    seconds = time.monotonic() - begun
    stage.kafka.proxy.tell(mode="pass")
    if code == 0 and sum(stage.next_offsets().values()) >= 30_000:
        raise Missed("it had read everything before the brokers went")
    if code != 1:
        stage.findings.append(f"--until-latest without brokers ended with {code}, not 1: {worker.tail()}")
    elif "behind are partition" not in worker.tail():
        stage.findings.append(f"--until-latest doesn't say what is missing: {worker.tail()}")
    stage.expect_ingest()
    stage.check()
    return f"the brokers went after the first commit; it left with {code} after {seconds:.0f} s"


@fault("partitions-added-after-latest", alone=True, weight=4)
def partitions_added_after_latest(stage: Stage, chance: random.Random) -> str:
    """What is written to a partition before anybody notices it is the lake's."""
    stage.produce(400)
    running = stage.launcher.start("latest", "--start", "latest")
    if not running.wait_for(READING, START_SECONDS):
        raise Missed(f"no partition within {START_SECONDS} s: {running.tail()}")
    before, end = stage.version(), time.monotonic() + START_SECONDS
    while before < 1 and time.monotonic() < end:
        time.sleep(0.05)
        before = stage.version()
    while_running = chance.random() < 0.5
    if not while_running:
        stage.terminate(running)
    added = chance.randint(1, 2)
    admin = AdminClient({"bootstrap.servers": stage.kafka.direct})
    admin.create_partitions([NewPartitions(stage.topic, PARTITIONS + added)])[stage.topic].result(timeout=30)
    producer = Producer({"bootstrap.servers": stage.kafka.direct})
    count = 0
    for partition in range(PARTITIONS, PARTITIONS + added):
        for number in range(chance.randint(1, 300)):
            producer.produce(stage.topic, stage.source.tick("ADDED", number), "ADDED", partition=partition)
            count += 1
    if producer.flush(60):
        raise RuntimeError("not all messages were acknowledged")
    if while_running:
        time.sleep(REFRESH_SECONDS)
        stage.terminate(running)
    stage.expect_ingest("--start", "latest")
    record = read_table(Folder(stage.objects / "ticks")).record["partitions"]
    for partition in range(PARTITIONS, PARTITIONS + added):
        first = record.get(str(partition), {}).get("first")
        if first != 0:
            stage.findings.append(f"partition {partition} was added, and the lake has it from offset {first} on")
    stage.check(expected=False, first="any")
    when = "while an ingest ran" if while_running else "between two runs"
    return f"{added} partitions with {count} messages added {when}"
