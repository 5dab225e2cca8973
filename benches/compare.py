#!/usr/bin/env python3
"""Consume-only against ingest into a local folder and into S3, on one filled topic.

    benches/compare.sh                      the documented run: 5 M ticks, 100 symbols, 4 partitions, 3 runs each
    benches/compare.sh --symbols 1000 --partitions 16

Starts Kafka and the S3 server, fills a topic once with `tickhouse produce simulate --rate 0`, then runs each candidate
in turn and measures the process from outside: wall time, CPU seconds (user + system, of the process alone) and peak
resident memory. The wall time includes start-up, joining the group and the last commit. Prints the medians as a table
and writes every run as JSON. A run that does not land every tick ends the benchmark.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import built

sys.path.insert(0, str(built.REPOSITORY / "tests" / "check"))

from delta_log import open_store, read_table  # noqa: E402
from servers import Servers, unwind_on_sigterm  # noqa: E402

CONSUME, LOCAL, S3 = "consume-only", "ingest, local folder", "ingest, S3"


@dataclass
class Run:
    candidate: str
    wall_seconds: float
    cpu_seconds: float
    peak_rss_mib: float


def measure(candidate: str, command: list[str], environment: dict[str, str], log: Path) -> Run:
    """Runs a command to its end; the numbers are of that process alone."""
    with log.open("wb") as out:
        begun = time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=os.environ | environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{candidate} ended with {process.returncode}:\n{log.read_text(errors='replace')[-2000:]}")
    return Run(candidate, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def topic_offsets(brokers: str, topic: str) -> int:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "compare"})
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        spans = [consumer.get_watermark_offsets(TopicPartition(topic, one), timeout=30) for one in partitions]
        return sum(high - low for low, high in spans)
    finally:
        consumer.close()


def table_rows(root: str, endpoint: str | None, region: str) -> int:
    table = read_table(open_store(root, "ticks", endpoint, region))
    return sum(json.loads(add["stats"])["numRecords"] for add in table.adds.values())


def fill(args: argparse.Namespace, brokers: str, folder: Path) -> str:
    topic = "compare"
    command = [str(args.binary), "produce", "simulate", "--brokers", brokers, "--topic", topic, "--rate", "0"]
    command += ["--count", str(args.ticks), "--symbols", str(args.symbols), "--partitions", str(args.partitions)]
    # Event times of the past: flat out they run ahead of the clock.
    command += ["--seed", "1", "--start", "2024-03-04T14:30:00Z"]
    run = measure("produce", command, {}, folder / "produce.log")
    print(f"filled {topic} with {args.ticks} ticks in {run.wall_seconds:.1f} s", flush=True)
    return topic


def candidates(args, folder: Path, brokers: str, topic: str, s3: dict[str, str], number: int):
    """(name, command, environment, root of the lake or None)"""
    source = ["--brokers", brokers, "--topic", topic]
    ingest = [str(args.binary), "ingest", *source, "--until-latest"]
    local = str(folder / f"lake-{number}")
    remote = f"s3://{s3['S3_BUCKET']}/lake-{number}"
    at_s3 = ["--s3-endpoint", s3["S3_ENDPOINT"], "--s3-region", s3["S3_REGION"], "--s3-allow-http"]
    keys = {name: s3[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    yield CONSUME, [str(args.binary), "consume-only", *source], {}, None
    yield LOCAL, [*ingest, "--table", local], {}, local
    yield S3, [*ingest, "--table", remote, *at_s3], keys, remote


def run_all(args, folder: Path, servers: Servers) -> list[Run]:
    brokers = args.brokers or servers.start("kafka.sh")["BROKERS"]
    s3 = servers.start("s3.sh")
    os.environ |= {name: s3[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    topic = args.topic or fill(args, brokers, folder)
    present = topic_offsets(brokers, topic)
    if present != args.ticks:
        raise SystemExit(f"the topic {topic} holds {present} messages, expected {args.ticks}")
    runs = []
    # One round warms the page cache of the broker for all candidates alike.
    for number in range(args.runs + 1):
        for name, command, environment, root in candidates(args, folder, brokers, topic, s3, number):
            if number == 0 and root:
                continue
            run = measure(name, command, environment, folder / f"run-{number}-{name.split()[-1]}.log")
            if root:
                rows = table_rows(root, s3["S3_ENDPOINT"], s3["S3_REGION"])
                if rows != args.ticks:
                    raise SystemExit(f"{name} landed {rows} rows of {args.ticks} ticks")
                for stored in (Path(root), Path(s3["S3_OBJECTS"], root.removeprefix("s3://"))):
                    shutil.rmtree(stored, ignore_errors=True)
            if number:
                runs.append(run)
                print(f"{number}/{args.runs}  {name:22}  {run.wall_seconds:6.2f} s wall  {run.cpu_seconds:6.2f} s CPU", flush=True)
    return runs


def table(args, runs: list[Run]) -> list[dict]:
    medians = {}
    for name in (CONSUME, LOCAL, S3):
        of = [run for run in runs if run.candidate == name]
        medians[name] = {
            "candidate": name,
            "wall_seconds": statistics.median(run.wall_seconds for run in of),
            "ticks_per_second": args.ticks / statistics.median(run.wall_seconds for run in of),
            "cpu_seconds_per_million": statistics.median(run.cpu_seconds for run in of) / args.ticks * 1e6,
            "peak_rss_mib": statistics.median(run.peak_rss_mib for run in of),
        }
    base = medians[CONSUME]
    for row in medians.values():
        row["wall_ratio"] = row["wall_seconds"] / base["wall_seconds"]
        row["cpu_ratio"] = row["cpu_seconds_per_million"] / base["cpu_seconds_per_million"]
    return list(medians.values())


def show(rows: list[dict]) -> None:
    print("\n| candidate | wall s | ticks/s | CPU-s per million | peak RSS MiB | wall ratio | CPU ratio |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['candidate']} | {row['wall_seconds']:.2f} | {row['ticks_per_second']:,.0f} | "
            f"{row['cpu_seconds_per_million']:.2f} | {row['peak_rss_mib']:.0f} | {row['wall_ratio']:.2f} | {row['cpu_ratio']:.2f} |"
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="benches/compare.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ticks", type=int, default=5_000_000)
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--profile", choices=["release", "dev"], default="release", help="which build to measure")
    parser.add_argument("--binary", type=Path, help="measure this one and build nothing")
    parser.add_argument("--brokers", help="a Kafka that runs already")
    parser.add_argument("--topic", help="a topic there that holds --ticks messages already")
    parser.add_argument("--json", type=Path, default=built.REPOSITORY / "target" / "compare.json")
    args = parser.parse_args()
    unwind_on_sigterm()
    if args.topic and not args.brokers:
        parser.error("--topic needs --brokers")
    args.binary = built.tickhouse(args.binary, args.profile)
    folder = Path(tempfile.mkdtemp(prefix="tickhouse-compare-"))
    servers = Servers(folder)
    try:
        runs = run_all(args, folder, servers)
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)
    rows = table(args, runs)
    show(rows)
    result = {
        "ticks": args.ticks,
        "symbols": args.symbols,
        "partitions": args.partitions,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "profile": args.profile,
        "medians": rows,
        "runs": [asdict(run) for run in runs],
    }
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(result, indent=1))
    print(f"\nevery run: {args.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
