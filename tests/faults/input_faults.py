"""What a topic may hold: poison, aborted transactions, compaction."""

from __future__ import annotations

import random
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from kinds import Missed, fault
from stage import Stage

COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "200",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "200",
}
COMPACTION_SECONDS = 60


def poisoned(stage: Stage, chance: random.Random, part: float) -> str:
    stage.working(stage.any_worker(chance))
    before = stage.version("dead_letters")
    stage.source.poison = part
    seconds = chance.uniform(1, 3)
    time.sleep(seconds)
    stage.source.poison = stage.plan.poison
    return f"{part:.0%} of the messages poison for {seconds:.1f} s; dead letters were at version {before}"


@fault("poison-1-in-10", weight=8)
def poison_some(stage: Stage, chance: random.Random) -> str:
    return poisoned(stage, chance, 0.1)


@fault("poison-all", weight=8)
def poison_all(stage: Stage, chance: random.Random) -> str:
    return poisoned(stage, chance, 1.0)


@fault("aborted-transactions", weight=8)
def aborted_transactions(stage: Stage, chance: random.Random) -> str:
    """A producer beside the other one, whose messages count when it commits them."""
    settings = {"bootstrap.servers": stage.kafka.direct, "transactional.id": f"{stage.topic}-{chance.randrange(1 << 30)}"}
    producer = Producer(settings)
    producer.init_transactions(30)
    aborted = committed = 0
    for number in range(chance.randint(4, 8)):
        producer.begin_transaction()
        messages = chance.randint(1, 200)
        for place in range(messages):
            symbol = f"TXN{place % 7}"
            producer.produce(stage.topic, stage.source.tick(symbol, place), symbol)
        producer.flush(30)
        if chance.random() < 0.5:
            producer.abort_transaction(30)
            aborted += messages
        else:
            producer.commit_transaction(30)
            committed += messages
    return f"{committed} messages committed, {aborted} aborted"


@fault("compacted-topic", alone=True, weight=4, topic=COMPACTED)
def compacted_topic(stage: Stage, chance: random.Random) -> str:
    """Offsets that are gone, and tombstones; compaction is over before the first is read, so that the checker sees what
    the ingest saw."""
    for _ in range(4):
        stage.produce(500)
        # The last segment is never compacted, and a new one begins with the first message after segment.ms.
        time.sleep(0.3)
    for number in range(10):
        stage.source.producer.produce(stage.topic, None, f"SYM{number:03}")
    stage.produce(20)
    end = time.monotonic() + COMPACTION_SECONDS
    while (left := stage.messages()) > 1_200:
        if time.monotonic() > end:
            raise Missed(f"{left} messages are left after {COMPACTION_SECONDS} s: no compaction")
        time.sleep(0.5)
    entries = [ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)]
    entries.append(ConfigEntry("retention.ms", "-1", incremental_operation=AlterConfigOpType.SET))
    resource = ConfigResource(ResourceType.TOPIC, stage.topic, incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": stage.kafka.direct})
    admin.incremental_alter_configs([resource])[resource].result(30)
    left = stage.messages()
    stage.expect_ingest()
    stage.check(expected=False)
    if 0 in (stage.summary.get("holes", 0), stage.summary.get("skipped", 0)):
        raise Missed(f"no holes or no tombstones in the table: {stage.summary}")
    return f"{left} of 2030 messages left, {stage.summary['holes']} holes, {stage.summary['skipped']} tombstones"
