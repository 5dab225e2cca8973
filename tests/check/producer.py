#!/usr/bin/env python3
"""Writes canonical ticks at a steady rate, some of them poison, and a side-file of what each must become.

    producer.py --brokers B --topic T --rate 20000 --seconds 10 --poison 0.02 --seed 1 --expected expected.csv

The side-file (partition,off,verdict,reason) is what the checker compares with, beside its own rules.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

KNOWN_SECONDS = 60

TICK = '"symbol":"POISON","ts":"2025-11-20T14:30:00.000001Z"'
"""(payload, verdict, reason): rows of the verdict table; reason None where it isn't compared."""
POISON = [
    (None, "skip", None),
    (b"", "dead", "empty"),
    (b" \n ", "dead", "empty"),
    (b"null", "dead", "not_object"),
    (b"42", "dead", "not_object"),
    (b"[1,2]", "dead", "not_object"),
    (f"{{{TICK},\"close\":1}} x".encode(), "dead", "trailing_data"),
    (f"{{{TICK},\"close\":1".encode(), "dead", "syntax"),
    (f"{{{TICK},\"close\":01}}".encode(), "dead", "syntax"),
    (b"\xef\xbb\xbf" + f"{{{TICK},\"close\":1}}".encode(), "tick", None),
    (f"{{{TICK},\"close\":1,\"note\":\"".encode() + b'\xff"}', "dead", "encoding"),
    (f"{{{TICK},\"close\":NaN}}".encode(), "dead", "non_finite"),
    (f"{{{TICK},\"close\":1e400}}".encode(), "dead", "non_finite"),
    (f"{{{TICK},\"close\":0}}".encode(), "dead", "out_of_range"),
    (f"{{{TICK},\"close\":1,\"volume\":-1}}".encode(), "dead", "out_of_range"),
    (f"{{{TICK},\"close\":\"1.5\"}}".encode(), "tick", None),
    (f"{{{TICK},\"close\":true}}".encode(), "dead", "type"),
    (f"{{{TICK}}}".encode(), "dead", "missing_field"),
    (f"{{{TICK},\"close\":1,\"close\":2}}".encode(), "dead", "duplicate_key"),
    (b'{"symbol":"POISON","ts":"2025-11-20T14:30:00","close":1}', "dead", "naive_ts"),
    (b'{"symbol":"POISON","ts":"2025-02-30T14:30:00Z","close":1}', "dead", "ts_parse"),
    (b'{"symbol":"POISON","ts":"2099-01-01T00:00:00Z","close":1}', "dead", "ts_future"),
    (b'{"symbol":"","ts":"2025-11-20T14:30:00Z","close":1}', "dead", "bad_symbol"),
    (b"\x1f\x8b\x08\x00garbage", "dead", "compressed"),
    (b"\x00\x00\x00\x00\x07garbage", "dead", "avro_magic"),
    (b'{"symbol":"../%2f;\'<b>","ts":"2025-11-20T14:30:00Z","close":1}', "tick", None),
]


def make_topic(brokers: str, topic: str, partitions: int, copies: int = 1, config: dict[str, str] | None = None) -> None:
    admin = AdminClient({"bootstrap.servers": brokers})
    new = NewTopic(topic, num_partitions=partitions, replication_factor=copies, config=config or {})
    created = admin.create_topics([new])
    created[topic].result(timeout=30)
    # A broker learns of a new topic, and of its leaders, a little later than the controller that made it.
    end = time.monotonic() + KNOWN_SECONDS
    while True:
        found = admin.list_topics(timeout=30).topics.get(topic)
        if found and len(found.partitions) == partitions and all(one.leader >= 0 for one in found.partitions.values()):
            return
        if time.monotonic() > end:
            raise RuntimeError(f"the broker at {brokers} does not know {topic}")
        time.sleep(0.05)


class Source(threading.Thread):
    """Produces in a thread of its own until stopped. Every acknowledged message is in the side-file after `finish`."""

    def __init__(self, brokers: str, topic: str, rate: int, poison: float, seed: int, symbols: int, expected: Path):
        super().__init__(daemon=True)
        self.topic, self.rate, self.poison, self.symbols = topic, rate, poison, symbols
        self.random = random.Random(seed)
        self.halt = threading.Event()
        self.acknowledged = 0
        self.failed: list[str] = []
        self.file = expected.open("w")
        self.file.write("partition,off,verdict,reason\n")
        self.producer = Producer(
            {
                "bootstrap.servers": brokers,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 20,
                "queue.buffering.max.messages": 200_000,
                "topic.metadata.refresh.interval.ms": 1_000,
                # What fails is in `failed`; brokers that are away for a while are no news here.
                "log_level": 2,
            }
        )

    def run(self) -> None:
        begun, sent = time.monotonic(), 0
        try:
            while not self.halt.is_set():
                due = int((time.monotonic() - begun) * self.rate)
                for _ in range(min(due - sent, 5_000)):
                    self.send(sent)
                    sent += 1
                self.producer.poll(0)
                if sent >= due:
                    self.halt.wait(0.01)
        except Exception as error:
            self.failed.append(repr(error))

    def send(self, n: int) -> None:
        if self.random.random() < self.poison:
            payload, verdict, reason = POISON[self.random.randrange(len(POISON))]
            key = f"poison-{n % 64}"
        else:
            key = f"SYM{self.random.randrange(self.symbols):03}"
            payload, verdict, reason = self.tick(key, n), "tick", None

        def acknowledged(error, record):
            if error is not None:
                self.failed.append(str(error))
                return
            self.acknowledged += 1
            # A message that was sent twice over a broker's death is acknowledged without its offset; it is checked by
            # what the topic holds.
            if record.offset() is None:
                return
            self.file.write(f"{record.partition()},{record.offset()},{verdict},{reason or ''}\n")

        while True:
            try:
                self.producer.produce(self.topic, payload, key, on_delivery=acknowledged)
                return
            except BufferError:
                self.producer.poll(0.1)

    def tick(self, symbol: str, n: int) -> bytes:
        moment = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        price = round(100 + 20 * self.random.random(), 4)
        tick = {"symbol": symbol, "ts": moment, "open": price, "high": price + 0.5, "low": price - 0.5}
        tick |= {"close": price, "volume": self.random.randrange(1, 10_000), "trade_id": f"t{n}", "source": "check"}
        return json.dumps(tick).encode()

    def finish(self) -> int:
        """Stops, waits for all acknowledgements, returns their number."""
        self.halt.set()
        if self.is_alive():
            self.join()
        left = self.producer.flush(60)
        self.file.close()
        if left or self.failed:
            raise RuntimeError(f"{left} messages not acknowledged, {len(self.failed)} failed: {self.failed[:3]}")
        return self.acknowledged


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, default=4, help="of the topic, which is created")
    parser.add_argument("--rate", type=int, default=20_000, help="messages a second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--poison", type=float, default=0.02, help="part of the messages")
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--expected", type=Path, required=True, help="side-file to write")
    args = parser.parse_args()
    make_topic(args.brokers, args.topic, args.partitions)
    source = Source(args.brokers, args.topic, args.rate, args.poison, args.seed, args.symbols, args.expected)
    source.start()
    source.halt.wait(args.seconds)
    print(f"{source.finish()} messages acknowledged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
