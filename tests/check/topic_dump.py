"""Dumps a topic into a Parquet file: partition, offset, payload hash, own verdict and values of each message."""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from verdicts import ANY, judge, plausible

ROWS_AT_ONCE = 50_000
SCHEMA = pa.schema(
    [
        ("partition", pa.int32()),
        ("off", pa.int64()),
        ("sha256", pa.string()),
        ("bytes", pa.int64()),
        ("kafka_ms", pa.int64()),
        ("verdict", pa.string()),
        ("symbol", pa.string()),
        ("ts_us", pa.int64()),
        ("open", pa.float64()),
        ("high", pa.float64()),
        ("low", pa.float64()),
        ("close", pa.float64()),
        ("volume", pa.float64()),
        ("trade_id", pa.string()),
        ("source", pa.string()),
    ]
)


@dataclass
class Dump:
    path: Path
    """`[low, high)` of each partition when the dump began."""
    bounds: dict[int, tuple[int, int]]


class Writer:
    """Rows of SCHEMA into a file, a bounded number in memory."""

    def __init__(self, path: Path):
        self.file = parquet.ParquetWriter(path, SCHEMA, compression="zstd")
        self.rows: list[tuple] = []

    def message(self, partition: int, offset: int, payload: bytes | None, kafka_ms: int | None, canonical: bool) -> None:
        verdict = judge(payload, kafka_ms) if canonical or payload is None else ANY
        v = verdict
        self.rows.append(
            (
                partition,
                offset,
                hashlib.sha256(payload or b"").hexdigest(),
                len(payload or b""),
                plausible(kafka_ms),
                v.kind,
                v.symbol,
                v.ts_us,
                v.open,
                v.high,
                v.low,
                v.close,
                v.volume,
                v.trade_id,
                v.source,
            )
        )
        if len(self.rows) >= ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        if self.rows:
            columns = [pa.array(column, field.type) for column, field in zip(zip(*self.rows), SCHEMA)]
            self.file.write_table(pa.Table.from_arrays(columns, schema=SCHEMA))
            self.rows = []

    def close(self) -> None:
        self.flush()
        self.file.close()


def dump_topic(brokers: str, topic: str, path: Path, canonical: bool, isolation: str, timeout: float = 120.0) -> Dump:
    from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaError, KafkaException, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": f"checker-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "check.crcs": True,
            "queued.max.messages.kbytes": 65536,
        }
    )
    writer = Writer(path)
    try:
        found = consumer.list_topics(topic, timeout=30).topics[topic]
        if found.error:
            raise KafkaException(found.error)
        bounds = {}
        for partition in found.partitions:
            bounds[partition] = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
        open_partitions = {partition for partition, (low, high) in bounds.items() if low < high}
        consumer.assign([TopicPartition(topic, partition, bounds[partition][0]) for partition in open_partitions])
        last = time.monotonic()
        while open_partitions:
            # Waits for a full batch or its whole timeout.
            messages = consumer.consume(10_000, timeout=0.2)
            if messages:
                last = time.monotonic()
            elif time.monotonic() - last > timeout:
                raise TimeoutError(f"nothing from {brokers} for {timeout:.0f} s; still open: {sorted(open_partitions)}")
            for message in messages:
                partition = message.partition()
                if message.error():
                    if message.error().code() != KafkaError._PARTITION_EOF:
                        raise KafkaException(message.error())
                    open_partitions.discard(partition)
                    continue
                high = bounds[partition][1]
                if message.offset() >= high:
                    open_partitions.discard(partition)
                    continue
                if message.offset() == high - 1:
                    open_partitions.discard(partition)
                kind, kafka_ms = message.timestamp()
                known = None if kind == TIMESTAMP_NOT_AVAILABLE else kafka_ms
                writer.message(partition, message.offset(), message.value(), known, canonical)
    finally:
        consumer.close()
        writer.close()
    return Dump(path, bounds)
