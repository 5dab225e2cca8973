"""Faults of the brokers and of the network to them."""

from __future__ import annotations

import random
import time
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewPartitions

from kinds import Missed, fault
from stage import START_SECONDS, Stage

TRIES = 6
LONG_SECONDS = 20
# Those that a broken connection may cost at once, for the broker itself and for its part as coordinator of the group.
ATTEMPTS_AT_ONCE = 6
# Of whoever else runs on this machine, in that time.
OTHERS_ATTEMPTS = 200


@fault("broker-kill", weight=8)
def broker_kill(stage: Stage, chance: random.Random) -> str:
    stage.ground.kill_kafka()
    seconds = chance.uniform(0, 3)
    time.sleep(seconds)
    stage.ground.restart_kafka()
    return f"the broker was killed and started again after {seconds:.1f} s"


@fault("broker-of-three-kill", brokers=3, weight=12)
def broker_of_three_kill(stage: Stage, chance: random.Random) -> str:
    """The two others go on meanwhile: a commit must come before it is back."""
    cluster = stage.ground.cluster
    node = chance.choice(list(cluster.processes))
    cluster.kill(node)
    before = stage.version()
    seconds = stage.next_commit(before, START_SECONDS)
    time.sleep(chance.uniform(0, 2))
    cluster.launch(node)
    cluster.wait_for(node)
    if seconds is None:
        stage.findings.append(f"P8 two of three brokers were there, and no commit within {START_SECONDS} s")
    return f"broker {node} killed; the next commit came after {seconds or 0:.1f} s; started again"


def network(stage: Stage, lasts: float, **order) -> str:
    for _ in range(TRIES):
        stage.kafka.proxy.tell(**order)
        time.sleep(lasts)
        if hits := stage.kafka.proxy.tell(mode="pass")["hits"]:
            return f"{order['mode']} for {lasts:.1f} s, {hits} times"
        # After an earlier fault it waits before it connects again.
        time.sleep(1)
    raise Missed(f"nothing went through the proxy while it was to be {order['mode']}")


@fault("kafka-cut", weight=15)
def cut(stage: Stage, chance: random.Random) -> str:
    """Connections end and new ones are refused."""
    stage.working(stage.any_worker(chance))
    return network(stage, chance.uniform(0.2, 5), mode="cut")


@fault("kafka-cut-long", weight=3)
def cut_long(stage: Stage, chance: random.Random) -> str:
    """The group has forgotten its members meanwhile."""
    stage.working(stage.any_worker(chance))
    before = refused_attempts()
    line = network(stage, LONG_SECONDS, mode="cut")
    refused = refused_attempts() - before
    expect_few(stage, refused, LONG_SECONDS, "refused", OTHERS_ATTEMPTS)
    return f"{line}, {refused} refused"


def refused_attempts() -> int:
    """To connect, of everybody on this machine."""
    names, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Tcp:"))
    return int(dict(zip(names, values))["AttemptFails"])


def expect_few(stage: Stage, attempts: int, seconds: float, what: str, slack: int = 0) -> None:
    """Brokers that are not there are tried once a second by each worker."""
    if attempts > slack + len(stage.workers) * (seconds + ATTEMPTS_AT_ONCE):
        stage.findings.append(f"{len(stage.workers)} workers: {attempts} {what} attempts to connect in {seconds:.1f} s")


@fault("kafka-turned-away", weight=6)
def turned_away(stage: Stage, chance: random.Random) -> str:
    """Connections end as soon as they are there."""
    stage.working(stage.any_worker(chance))
    seconds = chance.uniform(4, 12)
    stage.kafka.proxy.tell(mode="turn-away")
    time.sleep(seconds)
    hits = stage.kafka.proxy.tell(mode="pass")["hits"]
    if hits == 0:
        raise Missed("nobody tried to connect")
    expect_few(stage, hits, seconds, "closed")
    return f"{hits} attempts in {seconds:.1f} s"


@fault("kafka-half-open", weight=12)
def half_open(stage: Stage, chance: random.Random) -> str:
    """Connections stay and nothing comes."""
    stage.working(stage.any_worker(chance))
    return network(stage, chance.uniform(1, 6), mode="silent")


@fault("kafka-slow", weight=12)
def slow(stage: Stage, chance: random.Random) -> str:
    stage.working(stage.any_worker(chance))
    return network(stage, chance.uniform(1, 4), mode="slow", seconds=chance.uniform(0.05, 0.8))


@fault("partitions-added", weight=6)
def partitions_added(stage: Stage, chance: random.Random) -> str:
    """The checker wants every offset of the new ones too."""
    admin = AdminClient({"bootstrap.servers": stage.kafka.direct})
    found = admin.list_topics(stage.topic, timeout=30).topics[stage.topic]
    count = len(found.partitions) + chance.randint(1, 2)
    admin.create_partitions([NewPartitions(stage.topic, count)])[stage.topic].result(timeout=30)
    return f"{count} partitions now"
