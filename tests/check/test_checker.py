"""The checker must find what it is for: each test spoils a small correct lake in one way."""

import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from checker import Options, active_files, check
from delta_log import Folder, read_table
from topic_dump import Dump, Writer
from verdicts import judge

KAFKA_MS = 1_763_649_000_500
UTC = pa.timestamp("us", "UTC")


def message(n: int) -> bytes:
    second = f"{n % 60:02}"
    return json.dumps({"symbol": "AAPL", "ts": f"2025-11-20T14:30:{second}.000001Z", "close": 100 + n / 7, "volume": n}).encode()


class Lake:
    """One partition, offsets 0..12: ticks, two bad messages at 3 and 7, a tombstone at 9, a hole at 11."""

    def __init__(self, root: Path):
        self.root = root
        self.payloads = {offset: message(offset) for offset in range(13) if offset != 11}
        self.payloads |= {3: b"{broken", 7: b"", 9: None}
        self.rows = [(offset, 0, 100 + offset / 7) for offset in self.payloads if offset not in (3, 7, 9)]
        self.dead = {3: self.payloads[3], 7: self.payloads[7]}
        self.hashes = {offset: hashlib.sha256(payload).hexdigest() for offset, payload in self.dead.items()}
        self.counters = {"first": 0, "next": 13, "stored_offsets": 9, "rows": 9, "dead": 2, "skipped": 1, "holes": 1, "lost": 0}
        self.txn, self.dead_txn = 13, 13

    def tick_table(self) -> pa.Table:
        count = len(self.rows)
        seconds = [datetime(2025, 11, 20, 14, 30, offset, 1, timezone.utc) for offset, _, _ in self.rows]
        return pa.table(
            {
                "symbol": ["AAPL"] * count,
                "ts": pa.array(seconds, UTC),
                **{name: pa.nulls(count, pa.float64()) for name in ("open", "high", "low")},
                "close": [close for _, _, close in self.rows],
                "volume": [float(offset) for offset, _, _ in self.rows],
                "trade_id": pa.nulls(count, pa.string()),
                "source": pa.nulls(count, pa.string()),
                "kafka_epoch": pa.array([0] * count, pa.int32()),
                "kafka_partition": pa.array([0] * count, pa.int32()),
                "kafka_offset": [offset for offset, _, _ in self.rows],
                "kafka_index": pa.array([index for _, index, _ in self.rows], pa.int32()),
                "kafka_ts": pa.array([KAFKA_MS * 1000] * count, pa.int64()).cast(UTC),
            }
        )

    def dead_table(self) -> pa.Table:
        count = len(self.dead)
        return pa.table(
            {
                "kafka_epoch": pa.array([0] * count, pa.int32()),
                "kafka_partition": pa.array([0] * count, pa.int32()),
                "kafka_offset": list(self.dead),
                "kafka_index": pa.array([0] * count, pa.int32()),
                "kafka_ts": pa.array([KAFKA_MS * 1000] * count, pa.int64()).cast(UTC),
                "payload": list(self.dead.values()),
                "payload_bytes": [len(payload) for payload in self.dead.values()],
                "payload_sha256": [self.hashes[offset] for offset in self.dead],
                "reason": ["syntax"] * count,
            }
        )

    def record(self) -> dict:
        return {"commit_id": "a", "epoch": 0, "ranges": {"0": [0, self.counters["next"]]}, "partitions": {"0": self.counters}}

    def write(self) -> None:
        for name, data, record, txn in (("ticks", self.tick_table(), self.record(), self.txn), ("dead_letters", self.dead_table(), None, self.dead_txn)):
            table = self.root / name
            (table / "_delta_log").mkdir(parents=True)
            parquet.write_table(data, table / "part-1.parquet")
            size = (table / "part-1.parquet").stat().st_size
            stats = json.dumps({"numRecords": data.num_rows})
            info = {"timestamp": 0} | ({"tickhouse": record} if record else {})
            add = {"path": "part-1.parquet", "size": size, "stats": stats, "dataChange": True, "partitionValues": {}}
            self.commit(name, 0, {"protocol": {}}, {"metaData": {"id": "x"}})
            self.commit(name, 1, {"commitInfo": info}, {"add": add}, {"txn": {"appId": "tickhouse/0/0", "version": txn}})

    def commit(self, name: str, version: int, *actions: dict) -> None:
        path = self.root / name / "_delta_log" / f"{version:020}.json"
        path.write_text("\n".join(json.dumps(action) for action in actions))

    def read_commit(self, name: str, version: int) -> list[dict]:
        path = self.root / name / "_delta_log" / f"{version:020}.json"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def findings(self, **options) -> list[str]:
        dumped = self.root / "topic.parquet"
        writer = Writer(dumped)
        for offset, payload in self.payloads.items():
            writer.message(0, offset, payload, KAFKA_MS, True)
        writer.close()
        tables, files = [], []
        for name in ("ticks", "dead_letters"):
            store = Folder(self.root / name)
            table = read_table(store)
            tables.append(table)
            files.append(active_files(store, table, self.root / "scratch"))
        return check(Dump(dumped, {0: (0, 13)}), *tables, *files, Options(**options), self.root)[1]


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


def one(findings: list[str], text: str) -> None:
    assert any(text in finding for finding in findings), findings


def test_a_correct_lake_has_no_findings(lake):
    lake.write()
    assert lake.findings() == []


def test_a_lost_row_is_found_even_when_the_counters_hide_it(lake):
    lake.rows = [row for row in lake.rows if row[0] != 5]
    lake.counters |= {"stored_offsets": 8, "rows": 8, "skipped": 2}
    lake.write()
    one(lake.findings(), "lost: a tick that is nowhere: 1")


def test_a_duplicated_row_is_found(lake):
    lake.rows.append(lake.rows[0])
    lake.counters["rows"] = 10
    lake.write()
    one(lake.findings(), "identity more than once in ticks: 1")


def test_a_duplicate_with_another_index_is_found(lake):
    lake.rows.append((0, 2, 100.0))
    lake.counters["rows"] = 10
    lake.write()
    one(lake.findings(), "not numbered 0, 1")


def test_a_wrong_hash_is_found(lake):
    lake.hashes[3] = hashlib.sha256(b"other").hexdigest()
    lake.write()
    findings = lake.findings()
    one(findings, "another hash or size than its message: 1")
    one(findings, "not the one of its hash: 1")


def test_a_wrong_value_is_found(lake):
    offset, index, close = lake.rows[2]
    lake.rows[2] = (offset, index, close + 1e-12)
    lake.write()
    one(lake.findings(), "a row differs from its message: 1")


def test_a_missing_dead_letter_is_found(lake):
    del lake.dead[7]
    lake.counters |= {"dead": 1, "skipped": 2}
    lake.write()
    one(lake.findings(), "a bad message that is no dead letter: 1")


def test_a_message_in_both_tables_is_found(lake):
    lake.dead[4] = lake.payloads[4]
    lake.hashes[4] = hashlib.sha256(lake.payloads[4]).hexdigest()
    lake.write()
    findings = lake.findings()
    one(findings, "in two places: 1")
    one(findings, "a good tick among the dead letters: 1")


def replay(lake, **counters) -> None:
    """A commit that adds rows of two ticks for the dead letter 7."""
    lake.write()
    lake.rows = [(7, 0, 1.0), (7, 1, 2.0)]
    table = lake.root / "ticks"
    parquet.write_table(lake.tick_table(), table / "part-2.parquet")
    size = (table / "part-2.parquet").stat().st_size
    add = {"path": "part-2.parquet", "size": size, "stats": json.dumps({"numRecords": 2}), "dataChange": True, "partitionValues": {}}
    counted = lake.counters | {"replayed_offsets": 1, "replayed_rows": 2} | counters
    record = {"commit_id": "r", "epoch": 0, "ranges": {}, "partitions": {"0": counted}, "replay": {"letters": 1, "rows": 2}}
    txn = {"appId": "tickhouse/replay", "version": 1}
    lake.commit("ticks", 2, {"commitInfo": {"timestamp": 0, "tickhouse": record}}, {"add": add}, {"txn": txn})


def test_a_replayed_letter_is_in_both_tables_when_said_so(lake):
    replay(lake)
    assert lake.findings(replayed=True) == []
    one(lake.findings(), "in two places: 1")


def test_a_replay_that_counts_wrongly_is_found(lake):
    replay(lake, replayed_rows=1)
    one(lake.findings(replayed=True), "the counters say replayed_rows 1, found 2")


def test_a_replay_that_counts_its_rows_as_ingested_is_found(lake):
    replay(lake, rows=11)
    findings = lake.findings(replayed=True)
    one(findings, "changed without a range")
    one(findings, "a replay counts 2 rows as ingested")
    one(findings, "the counters say rows 11, found 9")


def test_a_replay_beside_another_is_found(lake):
    replay(lake)
    info, add, txn = lake.read_commit("ticks", 2)
    info["commitInfo"]["tickhouse"] |= {"commit_id": "s"}
    lake.commit("ticks", 3, info, txn)
    one(lake.findings(replayed=True), "the replay after the one of transaction 1 has 1")


def test_maintenance_repeats_the_newest_record_without_its_reason(lake):
    lake.write()
    first = lake.read_commit("ticks", 1)
    first[0]["commitInfo"]["tickhouse"] |= {"reason": "ann: again"}
    lake.commit("ticks", 1, *first)
    lake.commit("ticks", 2, {"commitInfo": {"timestamp": 1, "tickhouse": lake.record()}}, {"txn": {"appId": "tickhouse/maintain", "version": 1}})
    assert lake.findings() == []

    again = lake.record() | {"partitions": {"0": lake.counters | {"rows": 10}}}
    lake.commit("ticks", 2, {"commitInfo": {"timestamp": 1, "tickhouse": again}}, {"txn": {"appId": "tickhouse/maintain", "version": 1}})
    one(lake.findings(), "commit id a is in 2 versions")


def test_rows_beyond_the_end_are_found(lake):
    lake.counters |= {"next": 12, "stored_offsets": 8, "rows": 9}
    lake.txn = 12
    lake.write()
    findings = lake.findings()
    one(findings, "the lake ends at 12, the topic at 13")
    one(findings, "offsets in ticks that the topic does not have: 1")
    one(findings, "the transaction is 12, rows go to 13")


def test_an_unfinished_lake_is_fine_when_said_so(lake):
    lake.rows = [row for row in lake.rows if row[0] < 10]
    lake.counters |= {"next": 10, "stored_offsets": 7, "rows": 7, "holes": 0}
    lake.txn = 10
    lake.write()
    assert lake.findings(complete=False) == []
    one(lake.findings(), "the lake ends at 10")


def test_a_wrong_transaction_is_found(lake):
    lake.txn, lake.dead_txn = 14, 5
    lake.write()
    findings = lake.findings()
    one(findings, "the transaction is 14, the counters end at 13")
    one(findings, "has no transaction of 13")
    one(findings, "dead letters go to 8, their transaction is 5")


def test_counters_that_do_not_balance_are_found(lake):
    lake.counters["skipped"] = 2
    lake.write()
    findings = lake.findings()
    one(findings, "counts 14 offsets in [0, 13)")
    one(findings, "the counters say skipped 2, found 1")


def test_a_commit_that_begins_elsewhere_is_found(lake):
    lake.write()
    info, _, txn = lake.read_commit("ticks", 1)
    info["commitInfo"]["tickhouse"] |= {"commit_id": "b", "ranges": {"0": [12, 13]}}
    lake.commit("ticks", 2, info, txn)
    one(lake.findings(), "begins at 12, the commit before ended at 13")


def test_a_file_that_is_missing_or_of_another_size_is_found(lake):
    lake.write()
    info, add, txn = lake.read_commit("ticks", 1)
    add["add"]["size"] += 1
    gone = {"add": add["add"] | {"path": "gone.parquet", "stats": json.dumps({"numRecords": 0})}}
    lake.commit("ticks", 1, info, add, gone, txn)
    findings = lake.findings()
    one(findings, "the log says")
    one(findings, "gone.parquet is in the log but not in the store")


def test_a_path_added_twice_and_a_gap_are_found(lake):
    lake.write()
    _, add, _ = lake.read_commit("ticks", 1)
    lake.commit("ticks", 3, add)
    findings = lake.findings()
    one(findings, "adds part-1.parquet a second time")
    one(findings, "versions [2] are missing")


def test_a_checkpoint_that_disagrees_is_found(lake):
    lake.write()
    empty = pa.table(
        {
            "add": pa.array([None], pa.struct([("path", pa.string())])),
            "txn": pa.array([{"appId": "tickhouse/0/0", "version": 12}]),
            "metaData": pa.array([None], pa.struct([("id", pa.string())])),
        }
    )
    parquet.write_table(empty, lake.root / "ticks" / "_delta_log" / f"{1:020}.checkpoint.parquet")
    findings = lake.findings()
    one(findings, "has 0 files, its log 1")
    one(findings, "has transactions {'tickhouse/0/0': 12}")


def test_the_producers_word_counts(lake, tmp_path):
    lake.write()
    expected = tmp_path / "expected.csv"
    expected.write_text("partition,off,verdict,reason\n0,3,dead,syntax\n0,7,dead,empty\n0,4,dead,\n0,9,skip,\n")
    findings = lake.findings(expected=expected)
    one(findings, "not where its producer expects it: 1")
    one(findings, "another reason: 1")


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (None, "skip"),
        (b"", "dead"),
        (b" ", "dead"),
        (b"42", "dead"),
        (b"\xff", "dead"),
        (b'{"symbol":"A","ts":"2025-11-20T14:30:00Z","close":1}', "tick"),
        (b'{"symbol":"A","ts":"2025-11-20T14:30:00Z","close":1} x', "dead"),
        (b'{"symbol":"A","ts":"2025-11-20T14:30:00Z","close":NaN}', "dead"),
        (b'{"symbol":"A","ts":"2025-11-20T14:30:00Z","close":1e400}', "dead"),
        (b'{"symbol":"A","ts":"2025-11-20T14:30:00Z","close":0}', "dead"),
        (b'{"symbol":"A","ts":"2025-11-20T14:30:00Z","close":true}', "dead"),
        (b'{"symbol":"A","ts":"2025-11-20T14:30:00Z","close":"1.5"}', "any"),
        (b'{"symbol":"A","ts":"2025-11-20T14:30:00","close":1}', "dead"),
        (b'{"symbol":"A","ts":"2035-11-20T14:30:00Z","close":1}', "dead"),
        (b'{"symbol":"A","ts":"1980-11-20T14:30:00Z","close":1}', "dead"),
        (b'{"symbol":"A","symbol":"B","ts":"2025-11-20T14:30:00Z","close":1}', "any"),
        (b'{"ts":"2025-11-20T14:30:00Z","close":1}', "dead"),
    ],
)
def test_verdicts_of_the_checkers_own(payload, kind):
    assert judge(payload, KAFKA_MS).kind == kind


def test_times_are_exact_microseconds():
    assert judge(message(5), KAFKA_MS).ts_us == 1_763_649_005_000_001
