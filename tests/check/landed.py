"""Prices that reach a lake as those of users do: as JSON through Kafka, by the binary."""

from __future__ import annotations

import json
import subprocess
from itertools import repeat
from pathlib import Path
from typing import Iterable

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

ZONE = "Asia/Kolkata"
PARTITIONS = 3
#: librdkafka's mark of a partition that the key decides.
OF_ITS_KEY = -1

#: What --input symbol-close needs to read such messages, with trade dates of the same zone.
SYMBOL_CLOSE = ("--input", "symbol-close", "--zone", ZONE, "--market-zone", ZONE)


def send(brokers: str, topic: str, messages: Iterable[dict], places: Iterable[int] = repeat(OF_ITS_KEY)) -> int:
    """Into a new topic, by symbol to its partitions unless they are given; the number of messages."""
    admin = AdminClient({"bootstrap.servers": brokers})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(timeout=30)
    failed: list[str] = []
    sent = 0

    def acknowledged(error, record):
        if error is not None:
            failed.append(str(error))

    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "linger.ms": 20})
    for message, place in zip(messages, places):
        text = json.dumps(message)
        while True:
            try:
                producer.produce(topic, text, message["symbol"], place, on_delivery=acknowledged)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
        sent += 1
    left = producer.flush(60)
    if left or failed:
        raise RuntimeError(f"{left} messages not acknowledged, {len(failed)} failed: {failed[:3]}")
    return sent


def ingest(binary: Path, brokers: str, topic: str, lake: Path, rows: int, *flags: str) -> None:
    """All of the topic, in files of about so many rows."""
    command = [str(binary), "ingest", "--brokers", brokers, "--topic", topic, "--table", str(lake), "--until-latest"]
    command += ["--flush-rows", str(rows), *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the ingest ended with exit code {done.returncode}: {done.stderr.strip()[-1000:]}")
