#!/usr/bin/env python3
"""The independent checker: is every offset of the topic in exactly one place of the lake?

Shares no code with tickhouse: an own consumer dumps the topic, an own reader replays the Delta logs, DuckDB reads the
Parquet files that they name. Prints a summary as JSON. Exit code 0: nothing found; 1: findings; 2: usage.

    checker.py --brokers 127.0.0.1:9092 --topic ticks --table ./lake
    checker.py --brokers .. --topic ticks --table s3://lake/a --s3-endpoint http://127.0.0.1:9000

P1  every offset of [first, next) is in ticks, in dead_letters, or counted as skipped, hole or lost; no identity twice
P2  rows and dead letters say what the messages say (payload hash; symbol, time, prices, volume)
P3  the transaction of each partition is `next`, and at least 1 + the highest offset in the tables
P4  the log is contiguous, every file exists with its size and rows, no path is added twice; counters balance in every
    commit and each commit begins where the one before ended
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow.parquet as parquet

from delta_log import LogError, Table, open_store, read_table
from topic_dump import Dump, dump_topic

COUNTS = ("stored_offsets", "dead", "skipped", "holes", "lost", "unknown")
EXAMPLES = 5
VALUES = ("symbol", "ts_us", "open", "high", "low", "close", "volume", "trade_id", "source", "kafka_us")


@dataclass
class Findings:
    listed: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.listed.append(text)

    def rows(self, what: str, relation: duckdb.DuckDBPyRelation) -> int:
        """One finding for all rows of a relation, with a few of them as examples; their number."""
        count = relation.aggregate("count(*)").fetchone()[0]
        if count:
            examples = [dict(zip(relation.columns, row)) for row in relation.limit(EXAMPLES).fetchall()]
            self.add(f"{what}: {count}, as in {examples}")
        return count


@dataclass
class Options:
    """`complete`: the ingest ran to the end of the topic; `replayed`: dead letters may be in ticks too."""

    complete: bool = True
    first: str = "low"
    replayed: bool = False
    expected: Path | None = None
    """Offsets that an operator gave up."""
    lost: int = 0


def check(dump: Dump, ticks: Table, dead: Table, tick_files: list[Path], dead_files: list[Path], options: Options,
          scratch: Path) -> tuple[dict, list[str]]:
    findings = Findings()
    check_log("ticks", ticks, tick_files, findings)
    check_log("dead_letters", dead, dead_files, findings)
    state = check_counters(ticks, findings)
    epoch = (ticks.record or {}).get("epoch", 0)

    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    database.execute("SET memory_limit = '1GB'")
    database.execute("SET threads = 2")
    database.execute(f"SET temp_directory = '{scratch}'")
    load(database, dump, tick_files, dead_files, epoch)
    repeated = check_identities(database, findings)
    missing, twice = check_places(database, findings, options, state, dump)
    check_values(database, findings)
    check_transactions(database, findings, state, ticks, dead, epoch)
    if options.expected:
        check_expected(database, findings, options)

    summary = {
        "topic_offsets": sum(high - low for low, high in dump.bounds.values()),
        "topic_messages": scalar(database, "SELECT count(*) FROM topic"),
        "tick_rows": scalar(database, "SELECT count(*) FROM all_ticks"),
        "tick_offsets": scalar(database, "SELECT count(*) FROM tick_offsets"),
        "dead_letters": scalar(database, "SELECT count(*) FROM all_dead"),
        "skipped": sum(one.get("skipped", 0) for one in state.values()),
        "holes": sum(one.get("holes", 0) for one in state.values()),
        "lost": sum(one.get("lost", 0) for one in state.values()),
        "replayed": sum(replayed(one)["replayed_offsets"] for one in state.values()),
        "replayed_rows": sum(replayed(one)["replayed_rows"] for one in state.values()),
        "missing": missing,
        "repeated": repeated + twice,
        "sum_volume": scalar(database, "SELECT coalesce(sum(volume), 0) FROM all_ticks"),
        "sum_close": scalar(database, "SELECT coalesce(sum(close), 0) FROM all_ticks"),
        "epoch": epoch,
        "ticks_version": ticks.version,
        "dead_letters_version": dead.version,
        "files": len(ticks.adds) + len(dead.adds),
        "orphans": len(ticks.orphans()) + len(dead.orphans()),
        "findings": len(findings.listed),
    }
    return summary, findings.listed


def scalar(database: duckdb.DuckDBPyConnection, query: str):
    return database.execute(query).fetchone()[0]


def check_log(name: str, table: Table, files: list[Path], findings: Findings) -> None:
    """P4, as far as one table alone can tell."""
    for problem in table.problems:
        findings.add(f"{name}: {problem}")
    for path, add in table.adds.items():
        if path not in table.sizes:
            findings.add(f"{name}: {path} is in the log but not in the store")
        elif table.sizes[path] != add["size"]:
            findings.add(f"{name}: {path} has {table.sizes[path]} bytes, the log says {add['size']}")
    by_name = {file.name.rsplit("__", 1)[-1]: file for file in files}
    for path, add in table.adds.items():
        file = by_name.get(path.rsplit("/", 1)[-1])
        if file is None:
            continue
        stats = json.loads(add["stats"]) if add.get("stats") else {}
        rows = parquet.read_metadata(file).num_rows
        if stats.get("numRecords") != rows:
            findings.add(f"{name}: {path} has {rows} rows, the log says {stats.get('numRecords')}")


def without_reason(record: dict) -> dict:
    return {key: value for key, value in record.items() if key != "reason"}


def check_counters(ticks: Table, findings: Findings) -> dict[int, dict]:
    """P4: each commit balances and begins where the one before ended. Returns the newest counters."""
    state: dict[int, dict] = {}
    epoch, newest, ids, sequence = None, None, Counter(), None
    if ticks.base:
        newest, epoch = ticks.base, ticks.base.get("epoch")
        state = {int(partition): one for partition, one in newest.get("partitions", {}).items()}
    for commit in ticks.commits:
        record = commit.record()
        if record is None or newest and without_reason(record) == without_reason(newest):
            continue  # maintenance repeats the newest record, without its reason
        is_recount = newest is None and ticks.is_cleaned
        newest = record
        where = f"ticks: version {commit.version}"
        ids[record.get("commit_id")] += 1
        if record.get("epoch") != epoch:
            epoch, state = record.get("epoch"), {}
        counters = {int(partition): one for partition, one in record.get("partitions", {}).items()}
        ranges = {int(partition): span for partition, span in record.get("ranges", {}).items()}
        transactions = {txn["appId"]: txn["version"] for txn in commit.of("txn")}
        for partition, one in counters.items():
            balance = sum(one.get(name, 0) for name in COUNTS)
            if one["next"] - one["first"] != balance:
                findings.add(f"{where}: partition {partition} counts {balance} offsets in [{one['first']}, {one['next']})")
            before = state.get(partition)
            if before and partition not in ranges and before | replayed(one) != one | replayed(one):
                findings.add(f"{where}: partition {partition} changed without a range: {before} to {one}")
        for partition in set(state) - set(counters):
            findings.add(f"{where}: partition {partition} is no longer counted")
        for partition, (start, next_offset) in ranges.items():
            before = state.get(partition)
            one = counters.get(partition)
            if before and before["next"] != start:
                findings.add(f"{where}: partition {partition} begins at {start}, the commit before ended at {before['next']}")
            if one is None or one["next"] != next_offset:
                findings.add(f"{where}: partition {partition} counts to {one and one['next']}, its range ends at {next_offset}")
            if transactions.get(f"tickhouse/{epoch}/{partition}") != next_offset:
                findings.add(f"{where}: partition {partition} has no transaction of {next_offset}")
        rows = sum(json.loads(add.get("stats") or "{}").get("numRecords", 0) for add in commit.of("add") if add["dataChange"])
        counted = sum(one["rows"] - state.get(partition, {"rows": 0})["rows"] for partition, one in counters.items())
        replay = record.get("replay") or {}
        added = sum(replayed(one)["replayed_rows"] - replayed(state.get(partition, {}))["replayed_rows"] for partition, one in counters.items())
        if added > replay.get("rows", 0) and not is_recount:
            findings.add(f"{where}: replays {replay.get('rows', 0)} rows and counts {added}")
        if replay:
            before, sequence = sequence, transactions.get("tickhouse/replay")
            if sequence is None or before is not None and sequence != before + 1:
                findings.add(f"{where}: the replay after the one of transaction {before} has {sequence}")
            if counted:
                findings.add(f"{where}: a replay counts {counted} rows as ingested")
            counted = replay["rows"]
        if rows != counted and not is_recount:
            findings.add(f"{where}: adds {rows} rows and counts {counted}")
        state = counters
    for commit_id, times in ids.items():
        if times > 1:
            findings.add(f"ticks: commit id {commit_id} is in {times} versions")
    return state


def replayed(one: dict) -> dict[str, int]:
    """Counters of dead letters that became ticks later; they are left out while there are none."""
    return {name: one.get(name, 0) for name in ("replayed_offsets", "replayed_rows")}


def load(database: duckdb.DuckDBPyConnection, dump: Dump, tick_files, dead_files, epoch: int) -> None:
    database.execute(f"CREATE TABLE topic AS SELECT * FROM read_parquet('{dump.path}')")
    tick_list, dead_list = ([str(file) for file in files] for files in (tick_files, dead_files))
    columns = """kafka_epoch AS epoch, kafka_partition AS partition, kafka_offset AS off, kafka_index AS idx,
                 epoch_us(kafka_ts) AS kafka_us"""
    if tick_list:
        source = database.read_parquet(tick_list, hive_partitioning=False, union_by_name=True)
        source.create_view("tick_source")
        database.execute(f"""CREATE TABLE all_ticks AS SELECT {columns}, symbol, epoch_us(ts) AS ts_us, open, high, low,
                             close, volume, trade_id, source FROM tick_source""")
    else:
        database.execute("""CREATE TABLE all_ticks (epoch INT, partition INT, off BIGINT, idx INT, kafka_us BIGINT,
                            symbol TEXT, ts_us BIGINT, open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE, volume DOUBLE,
                            trade_id TEXT, source TEXT)""")
    if dead_list:
        source = database.read_parquet(dead_list, hive_partitioning=False, union_by_name=True)
        source.create_view("dead_source")
        database.execute(f"""CREATE TABLE all_dead AS SELECT {columns}, payload_sha256, payload_bytes, reason,
                             octet_length(payload) AS kept, sha256(payload) AS kept_sha256 FROM dead_source""")
    else:
        database.execute("""CREATE TABLE all_dead (epoch INT, partition INT, off BIGINT, idx INT, kafka_us BIGINT,
                            payload_sha256 TEXT, payload_bytes BIGINT, reason TEXT, kept BIGINT, kept_sha256 TEXT)""")
    database.execute(f"CREATE VIEW ticks AS SELECT * FROM all_ticks WHERE epoch = {int(epoch)}")
    database.execute(f"CREATE VIEW dead AS SELECT * FROM all_dead WHERE epoch = {int(epoch)}")
    database.execute("CREATE TABLE tick_offsets AS SELECT partition, off, count(*) AS n, max(idx) AS last, min(idx) AS zero FROM ticks GROUP BY ALL")
    database.execute("CREATE TABLE dead_offsets AS SELECT DISTINCT partition, off FROM dead")


def check_identities(database: duckdb.DuckDBPyConnection, findings: Findings) -> int:
    """P1: how many identities are there more than once."""
    repeated = 0
    for name in ("ticks", "dead"):
        repeated += findings.rows(f"P1 identity more than once in {name}", database.sql(
            f"SELECT epoch, partition, off, idx, count(*) AS times FROM all_{name} GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL"))
    findings.rows("P1 rows of one message are not numbered 0, 1, ..", database.sql(
        "SELECT * FROM tick_offsets WHERE zero <> 0 OR last <> n - 1 ORDER BY ALL"))
    return repeated


def check_places(database, findings: Findings, options: Options, state: dict[int, dict], dump: Dump) -> tuple[int, int]:
    """P1: where each offset is, compared with the topic and with the counters; how many are nowhere, how many twice."""
    database.execute("CREATE TABLE spans (partition INT, first BIGINT, next BIGINT)")
    # Offsets below the topic's low end can't be compared any more.
    database.execute("CREATE TABLE gone (partition INT, low BIGINT)")
    for partition, (low, _) in dump.bounds.items():
        database.execute("INSERT INTO gone VALUES (?, ?)", [partition, low])
    missing = 0
    for partition, (low, high) in sorted(dump.bounds.items()):
        one = state.get(partition)
        if one is None:
            if options.complete and high > low:
                missing += high - low
                findings.add(f"P1 partition {partition}: {high - low} offsets in the topic, none in the lake")
            continue
        database.execute("INSERT INTO spans VALUES (?, ?, ?)", [partition, one["first"], one["next"]])
        if options.complete and one["next"] != high:
            missing += max(0, high - one["next"])
            findings.add(f"P1 partition {partition}: the lake ends at {one['next']}, the topic at {high}")
        if one["next"] > high:
            findings.add(f"P1 partition {partition}: the lake is at {one['next']}, beyond the topic's end {high}")
        if options.first == "low" and one["first"] > low:
            findings.add(f"P1 partition {partition}: the lake begins at {one['first']}, the topic at {low}")
    for partition in sorted(set(state) - set(dump.bounds)):
        findings.add(f"P1 partition {partition} is in the lake, not in the topic")

    database.execute("""CREATE TABLE places AS
        SELECT topic.partition, topic.off, topic.verdict,
               tick_offsets.off IS NOT NULL AS in_ticks, dead_offsets.off IS NOT NULL AS in_dead
        FROM topic JOIN spans ON topic.partition = spans.partition AND topic.off >= first AND topic.off < next
        LEFT JOIN tick_offsets ON tick_offsets.partition = topic.partition AND tick_offsets.off = topic.off
        LEFT JOIN dead_offsets ON dead_offsets.partition = topic.partition AND dead_offsets.off = topic.off""")
    missing += findings.rows("P1 lost: a tick that is nowhere", database.sql(
        "FROM places WHERE verdict = 'tick' AND NOT in_ticks AND NOT in_dead ORDER BY ALL"))
    missing += findings.rows("P1 lost: a bad message that is no dead letter", database.sql(
        "FROM places WHERE verdict = 'dead' AND NOT in_ticks AND NOT in_dead ORDER BY ALL"))
    twice = 0
    if not options.replayed:
        twice = findings.rows("P1 in two places", database.sql("FROM places WHERE in_ticks AND in_dead ORDER BY ALL"))
    findings.rows("P1 a good tick among the dead letters", database.sql(
        "FROM places WHERE verdict = 'tick' AND in_dead ORDER BY ALL"))
    # By the mapping of a replay it was a good one.
    in_both = "AND NOT in_dead" if options.replayed else ""
    findings.rows("P1 a bad message among the ticks", database.sql(
        f"FROM places WHERE verdict IN ('dead', 'skip') AND in_ticks {in_both} ORDER BY ALL"))
    findings.rows("P1 a tombstone among the dead letters", database.sql(
        "FROM places WHERE verdict = 'skip' AND in_dead ORDER BY ALL"))
    for name, offsets in (("ticks", "tick_offsets"), ("dead_letters", "dead_offsets")):
        # A dead-letter commit may be ahead of the main one, until the next worker has caught up.
        ahead = "" if name == "ticks" or options.complete else "AND (spans.next IS NULL OR o.off < spans.next)"
        findings.rows(f"P1 offsets in {name} that the topic does not have", database.sql(
            f"""SELECT o.partition, o.off FROM {offsets} o LEFT JOIN spans USING (partition)
                LEFT JOIN topic ON topic.partition = o.partition AND topic.off = o.off
                WHERE (topic.off IS NULL OR spans.next IS NULL OR o.off < spans.first OR o.off >= spans.next) {ahead}
                  AND NOT EXISTS (FROM gone WHERE gone.partition = o.partition AND o.off < gone.low)
                ORDER BY ALL"""))
    check_totals(database, findings, state, dump, options)
    return missing, twice


def check_totals(database, findings: Findings, state: dict[int, dict], dump: Dump, options: Options) -> None:
    for partition, one in sorted(state.items()):
        low, _ = dump.bounds.get(partition, (0, 0))
        span = f"partition = {int(partition)} AND off >= {int(one['first'])} AND off < {int(one['next'])}"
        is_letter = "EXISTS (FROM dead_offsets d WHERE d.partition = tick_offsets.partition AND d.off = tick_offsets.off)"
        ingested, letters = (f"{span} AND {negation} {is_letter}" for negation in ("NOT", ""))
        dead = scalar(database, f"SELECT count(*) FROM dead_offsets WHERE {span}")
        measured = {
            "stored_offsets": scalar(database, f"SELECT count(*) FROM tick_offsets WHERE {ingested}"),
            "rows": scalar(database, f"SELECT coalesce(sum(n), 0) FROM tick_offsets WHERE {ingested}"),
            "dead": dead,
            "replayed_offsets": scalar(database, f"SELECT count(*) FROM tick_offsets WHERE {letters}"),
            "replayed_rows": scalar(database, f"SELECT coalesce(sum(n), 0) FROM tick_offsets WHERE {letters}"),
        }
        # Of what was counted again nobody knows which offsets were skips and which were holes.
        if one["first"] >= low and not one.get("unknown"):
            delivered = scalar(database, f"SELECT count(*) FROM topic WHERE {span}")
            nowhere = scalar(database, f"SELECT count(*) FROM places WHERE {span} AND NOT in_ticks AND NOT in_dead")
            measured["skipped"] = nowhere
            if one["lost"] == 0:
                measured["holes"] = one["next"] - one["first"] - delivered
        for name, value in measured.items():
            if one.get(name, 0) != value:
                findings.add(f"P1 partition {partition}: the counters say {name} {one.get(name, 0)}, found {value}")
    lost = sum(one["lost"] for one in state.values())
    if options.complete and lost != options.lost:
        findings.add(f"P1 {lost} offsets given up as lost, expected {options.lost}")


def check_values(database, findings: Findings) -> None:
    """P2: rows against messages."""
    differs = " OR ".join(f"t.{name} IS DISTINCT FROM m.{name}" for name in VALUES)
    shown = ", ".join(f"t.{name} AS row_{name}, m.{name} AS message_{name}" for name in ("symbol", "ts_us", "close", "volume"))
    findings.rows("P2 a row differs from its message", database.sql(
        f"""SELECT t.partition, t.off, {shown} FROM ticks t
            JOIN (SELECT *, kafka_ms * 1000 AS kafka_us FROM topic WHERE verdict = 'tick') m
              ON t.partition = m.partition AND t.off = m.off
            WHERE {differs} ORDER BY ALL"""))
    findings.rows("P2 a dead letter has another hash or size than its message", database.sql(
        """SELECT d.partition, d.off, d.payload_sha256, m.sha256, d.payload_bytes, m.bytes FROM dead d
           JOIN topic m ON d.partition = m.partition AND d.off = m.off
           WHERE d.payload_sha256 <> m.sha256 OR d.payload_bytes <> m.bytes ORDER BY ALL"""))
    findings.rows("P2 the payload of a dead letter is not the one of its hash", database.sql(
        """SELECT partition, off, reason, kept, payload_bytes FROM dead
           WHERE CASE WHEN reason = 'too_large' THEN kept > payload_bytes ELSE kept_sha256 <> payload_sha256 END ORDER BY ALL"""))


def check_transactions(database, findings: Findings, state, ticks: Table, dead: Table, epoch: int) -> None:
    """P3."""
    ends = dict(database.execute("SELECT partition, max(off) + 1 FROM (FROM tick_offsets SELECT partition, off) GROUP BY ALL").fetchall())
    letters = dict(database.execute("SELECT partition, max(off) + 1 FROM dead_offsets GROUP BY ALL").fetchall())
    for partition in sorted(set(state) | set(ends)):
        txn = ticks.transactions.get(f"tickhouse/{epoch}/{partition}")
        counted = state.get(partition, {}).get("next")
        if txn is None or txn != counted:
            findings.add(f"P3 partition {partition}: the transaction is {txn}, the counters end at {counted}")
        if txn is not None and txn < ends.get(partition, 0):
            findings.add(f"P3 partition {partition}: the transaction is {txn}, rows go to {ends[partition]}")
    for partition, end in sorted(letters.items()):
        txn = dead.transactions.get(f"tickhouse/{epoch}/{partition}")
        if txn is None or txn < end:
            findings.add(f"P3 partition {partition}: dead letters go to {end}, their transaction is {txn}")


def check_expected(database, findings: Findings, options: Options) -> None:
    """A side-file of the producer: partition, offset, verdict (tick, dead, skip), reason."""
    database.execute(f"""CREATE TABLE expected AS SELECT * FROM read_csv('{options.expected}', header = true,
        columns = {{'partition': 'INT', 'off': 'BIGINT', 'verdict': 'TEXT', 'reason': 'TEXT'}})""")
    # The producer tells what ingest makes of a message; a replay adds ticks to dead letters.
    ingested = "in_ticks AND NOT in_dead" if options.replayed else "in_ticks"
    findings.rows("P1 not where its producer expects it", database.sql(
        f"""SELECT e.*, in_ticks, in_dead FROM expected e LEFT JOIN places p ON e.partition = p.partition AND e.off = p.off
           WHERE p.off IS NULL OR ({ingested}) <> (e.verdict = 'tick') OR in_dead <> (e.verdict = 'dead') ORDER BY ALL"""))
    findings.rows("P2 a dead letter has another reason", database.sql(
        """SELECT e.*, d.reason AS recorded FROM expected e JOIN dead d ON e.partition = d.partition AND e.off = d.off
           WHERE e.reason IS NOT NULL AND e.reason <> '' AND e.reason <> d.reason ORDER BY ALL"""))


def active_files(store, table: Table, scratch: Path) -> list[Path]:
    scratch.mkdir(parents=True, exist_ok=True)
    return [store.local(path, scratch) for path in sorted(table.adds) if path in table.sizes]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--table", required=True, help="root of the lake: a folder or s3://bucket/prefix")
    parser.add_argument("--s3-endpoint", help="keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    parser.add_argument("--s3-region", default="us-east-1")
    parser.add_argument("--input", default="canonical", help="other formats: places and hashes only, no values")
    parser.add_argument("--expected", type=Path, help="CSV of the producer: partition,off,verdict,reason")
    parser.add_argument("--incomplete", action="store_true", help="the ingest is not at the end of the topic")
    parser.add_argument("--any-start", action="store_true", help="the lake may begin after the topic's low end")
    parser.add_argument("--replayed", action="store_true", help="dead letters were replayed into ticks")
    parser.add_argument("--lost", type=int, default=0, help="offsets that an operator gave up")
    parser.add_argument("--isolation", default="read_uncommitted", choices=["read_uncommitted", "read_committed"])
    parser.add_argument("--json", type=Path, help="write summary and findings to this file too")
    args = parser.parse_args()
    options = Options(not args.incomplete, "any" if args.any_start else "low", args.replayed, args.expected, args.lost)
    with tempfile.TemporaryDirectory(prefix="tickhouse-check-") as folder:
        scratch = Path(folder)
        tables = {}
        for name in ("ticks", "dead_letters"):
            store = open_store(args.table, name, args.s3_endpoint, args.s3_region)
            try:
                table = read_table(store)
            except LogError as error:
                print(f"checker: {args.table}/{name}: {error}", file=sys.stderr)
                return 1
            tables[name] = (table, active_files(store, table, scratch / name))
        # After the tables, so that a running ingest can't be ahead of the dump.
        dump = dump_topic(args.brokers, args.topic, scratch / "topic.parquet", args.input == "canonical", args.isolation)
        summary, findings = check(dump, *(tables[name][0] for name in tables), *(tables[name][1] for name in tables), options, scratch)
    for finding in findings:
        print(f"FINDING {finding}", file=sys.stderr)
    print(json.dumps(summary))
    if args.json:
        args.json.write_text(json.dumps({"summary": summary, "findings": findings}, indent=1))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
