#!/usr/bin/env python3
"""A replay of dead letters, killed again and again beside a running ingest; at the end every letter's row is there once.

    replay_kill.py --letters 10000 --kills 12 --seed 7

Messages of another format than the lake's become dead letters; a producer goes on with ticks and poison while an ingest
lands them. Then `dead-letters replay` with the mapping of that format, one run or two at once, ended by kill -9: at a
random moment, at the sight of a new data file, at the sight of a new commit. A binary with the feature `faults`
(--faults-binary) also dies at each crash point of a replay, which is asserted. Then one replay that may end, a last one
that must find nothing to do, `tickhouse verify --against-kafka`, the independent checker, and a comparison of each
replayed row with the message that was sent.

Kafka and the S3 server are started unless --brokers is given. Prints the seed, one line for each event and a summary as
JSON. Exit code 0: nothing found; 1: findings (the working folder is kept); 2: usage.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
from confluent_kafka import Producer

from checker import active_files
from delta_log import open_store, read_table
from producer import Source, make_topic
from servers import REPOSITORY, Servers, run_in_folder, unwind_on_sigterm
from worker import READING, Launcher, Worker, new_file

PARTITIONS = 4
# 23:30 in New York: the trade date is that of the day, the UTC date the next one.
FIRST = datetime(2025, 11, 18, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
MAPPING = ["--input", "price-change", "--zone", "America/New_York"]
POINTS = ("replay-uploaded", "replay-committed")
FLUSHES = ["--flush-rows", "2000", "--flush-interval", "200ms", "--partition-by", "month"]
END_SECONDS = 300


@dataclass
class Run:
    args: argparse.Namespace
    launcher: Launcher
    objects: Path
    random: random.Random
    findings: list[str] = field(default_factory=list)
    kills: int = 0
    fired: dict[str, int] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)

    def command(self, binary: Path, *words: str) -> list[str]:
        table = ["--table", self.launcher.table, *store_flags(self.launcher.flags)]
        return [str(binary), "dead-letters", "replay", *table, *MAPPING, "--format", "json", *words]

    def reached(self, number: int) -> int:
        """Offset up to which runs of a round replay: however fast they are, letters are left for the next one."""
        return self.args.letters // PARTITIONS * number // (self.args.kills + 1)

    def start(self, binary: Path, number: int, crash: str | None = None) -> Worker:
        environment = os.environ | self.launcher.environment | ({"TICKHOUSE_TEST_CRASH": crash} if crash else {})
        some = ["--offsets", f"0..{self.reached(number)}", "--commit-letters", str(self.args.commit_letters)]
        command = self.command(binary, *some, "--log", "info")
        self.launcher.started += 1
        log = self.launcher.folder / f"replay-{self.launcher.started:04}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
        return Worker("replay", process, log)

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.begun:7.1f} s  {text}; {self.version()}", flush=True)

    def version(self) -> str:
        found = sorted(path.stem for path in (self.objects / "ticks" / "_delta_log").glob("*.json") if path.stem.isdigit())
        return f"ticks at version {int(found[-1])}"

    def kill(self, number: int) -> None:
        replays = [self.start(self.args.binary, number) for _ in range(self.random.choice((1, 1, 2)))]
        way = self.random.choice(("random", "commit", "commit", "data file"))
        if way == "random":
            time.sleep(self.random.uniform(0.05, 2.0))
        else:
            wait_for_commits(replays[0], self.random.randint(1, 12))
            if way == "data file":
                new_file(self.objects / "ticks", 5, ".parquet")
            else:
                time.sleep(self.random.uniform(0, 0.05))
        killed = 0
        for replay in replays:
            replay.kill()
            code = replay.process.returncode
            killed += code == -signal.SIGKILL
            if code not in (0, -signal.SIGKILL):
                self.findings.append(f"a replay ended with {code}: {replay.tail()}")
        self.kills += killed
        self.say(f"{number:3}/{self.args.kills}  {killed} of {len(replays)} killed ({way})")

    def crash(self, number: int, point: str, times: int) -> None:
        replay = self.start(self.args.faults_binary, number + 1, f"{point}:{times}")
        code = replay.process.wait(END_SECONDS)
        if code != -signal.SIGKILL:
            self.findings.append(f"{point}:{times} did not fire: exit {code}, {replay.tail()}")
        else:
            self.fired[point] = self.fired.get(point, 0) + 1
        self.say(f"crash point {point}, the {times}. time: exit {code}")

    def to_the_end(self, *words: str) -> dict:
        done = subprocess.run(self.command(self.args.binary, *words), capture_output=True, text=True,
                              env=os.environ | self.launcher.environment, timeout=END_SECONDS)
        if done.returncode != 0:
            self.findings.append(f"a replay ended with {done.returncode}: {done.stderr[-1000:]}")
            return {"reasons": {}}
        return json.loads(done.stdout)


def wait_for_commits(replay: Worker, commits: int) -> None:
    while replay.alive() and replay.log.read_bytes().count(b"replayed dead letters") < commits:
        time.sleep(0.002)


def store_flags(flags: list[str]) -> list[str]:
    return [flag for at, flag in enumerate(flags) if flag.startswith("--s3") or at and flags[at - 1] in ("--s3-endpoint", "--s3-region")]


def count(report: dict, name: str) -> int:
    return sum(reason[name] for reason in report["reasons"].values())


def send_letters(brokers: str, topic: str, letters: int) -> dict[tuple[int, int], tuple[str, int, float, float]]:
    """(partition, offset) -> the row that a replay has to make of it: symbol, microseconds, close, volume."""
    rows: dict[tuple[int, int], tuple[str, int, float, float]] = {}
    failed: list[str] = []
    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "linger.ms": 20})
    for number in range(letters):
        moment = FIRST + timedelta(seconds=number % 3600 * 20, microseconds=number)
        local = moment.strftime("%Y-%m-%dT%H:%M:%S.%f")
        symbol, price = f"LATE{number % 17}", 50 + number / 8
        row = (symbol, round(moment.timestamp()) * 1_000_000 + number % 1_000_000, price, float(number))

        def acknowledged(error, record, row=row):
            if error is not None:
                failed.append(str(error))
            else:
                rows[record.partition(), record.offset()] = row

        message = {"symbol": symbol, "price": price, "volume": number, "timestamp": local}
        producer.produce(topic, json.dumps(message).encode(), partition=number % PARTITIONS, on_delivery=acknowledged)
        producer.poll(0)
    if producer.flush(60) or failed:
        raise RuntimeError(f"not all messages were acknowledged: {failed[:3]}")
    return rows


def compare(run: Run, rows: dict, endpoint: str | None) -> int:
    """Each letter that was sent is one row with its values; the number of rows found."""
    store = open_store(run.launcher.table, "ticks", endpoint, "us-east-1")
    with tempfile.TemporaryDirectory() as scratch:
        files = [str(file) for file in active_files(store, read_table(store), Path(scratch) / "ticks")]
        database = duckdb.connect()
        database.execute("SET TimeZone = 'UTC'")
        source = database.read_parquet(files, hive_partitioning=False, union_by_name=True)
        source.create_view("ticks")
        found = database.execute("""SELECT kafka_partition, kafka_offset, kafka_index, symbol, epoch_us(ts), close, volume,
            (ts AT TIME ZONE 'America/New_York')::DATE = trade_date FROM ticks WHERE symbol LIKE 'LATE%'""").fetchall()
    seen: dict[tuple[int, int], int] = {}
    for partition, offset, index, *values, is_its_day in found:
        seen[partition, offset] = seen.get((partition, offset), 0) + 1
        if rows.get((partition, offset)) != tuple(values) or index != 0 or not is_its_day:
            run.findings.append(f"partition {partition}, offset {offset}: {values}, sent was {rows.get((partition, offset))}")
    twice = [place for place, times in seen.items() if times > 1]
    missing = [place for place in rows if place not in seen]
    if twice:
        run.findings.append(f"{len(twice)} rows more than once, as {twice[:5]}")
    if missing:
        run.findings.append(f"{len(missing)} letters without a row, as {missing[:5]}")
    return len(found)


def check(run: Run, endpoint: str | None) -> dict:
    report = run.launcher.folder / "report.json"
    command = [sys.executable, REPOSITORY / "tests/check/checker.py", "--brokers", run.launcher.brokers, "--replayed"]
    command += ["--topic", run.launcher.topic, "--table", run.launcher.table, "--json", report]
    command += ["--expected", run.launcher.folder / "expected.csv"]
    command += ["--s3-endpoint", endpoint] if endpoint else []
    environment = os.environ | run.launcher.environment
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    if not report.exists():
        run.findings.append(f"the checker ended with {done.returncode} and no report: {done.stderr.decode()[-2000:]}")
        return {}
    found = json.loads(report.read_text())
    run.findings.extend(found["findings"])
    verify = [str(run.args.binary), "verify", "--against-kafka", "--table", run.launcher.table, "--brokers", run.launcher.brokers]
    verified = subprocess.run([*verify, *store_flags(run.launcher.flags)], capture_output=True, text=True, env=environment)
    if verified.returncode != 0:
        run.findings.append(f"verify ended with {verified.returncode}: {verified.stdout[-1000:]} {verified.stderr[-1000:]}")
    return found["summary"]


def execute(args: argparse.Namespace, folder: Path, servers: Servers) -> int:
    brokers = args.brokers or servers.start("kafka.sh")["BROKERS"]
    flags, environment, endpoint = [*FLUSHES], {}, None
    if args.store == "s3":
        s3 = servers.start("s3.sh")
        endpoint = s3["S3_ENDPOINT"]
        flags += ["--s3-endpoint", endpoint, "--s3-region", s3["S3_REGION"], "--s3-allow-http"]
        environment = {key: s3[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        os.environ.update(environment)
        table, objects = f"s3://{s3['S3_BUCKET']}/replayed", Path(s3["S3_OBJECTS"], s3["S3_BUCKET"], "replayed")
    else:
        objects = folder / "lake"
        table = str(objects)
    topic = f"replayed-{secrets.token_hex(4)}"
    make_topic(brokers, topic, PARTITIONS)
    rows = send_letters(brokers, topic, args.letters)
    launcher = Launcher(args.binary, brokers, topic, table, folder, flags, environment)
    first = launcher.start("first", "--until-latest")
    if first.process.wait(END_SECONDS) != 0:
        raise SystemExit(f"the first ingest failed: {first.tail()}")

    source = Source(brokers, topic, args.rate, 0.02, args.seed, 50, folder / "expected.csv")
    run = Run(args, launcher, objects, random.Random(args.seed))
    worker = launcher.start("worker")
    try:
        worker.wait_for(READING, 60)
        source.start()
        for number in range(1, args.kills + 1):
            run.kill(number)
            if args.faults_binary and number <= 2 * len(POINTS):
                run.crash(number, POINTS[number % len(POINTS)], 1 + number // 2)
        middle = run.to_the_end()
        run.say(f"to the end: {count(middle, 'replayed')} replayed, {count(middle, 'replayed_before')} before")
        before_it = count(middle, "replayed_before")
        messages = source.finish()
        code, _ = worker.terminate()
        last = launcher.start("last", "--until-latest")
        if code != 0 or last.process.wait(END_SECONDS) != 0:
            run.findings.append(f"the ingest ended with {code} and {last.process.returncode}: {last.tail()}")
        nothing = run.to_the_end()
    finally:
        source.halt.set()
        worker.kill()
    if count(nothing, "replayed") != 0 or count(nothing, "replayed_before") != args.letters:
        run.findings.append(f"a replay after the last one: {nothing}")
    if not 0 < before_it < args.letters:
        run.findings.append(f"the kills came at the wrong time: {before_it} of {args.letters} letters were replayed by then")
    if args.faults_binary and set(run.fired) != set(POINTS):
        run.findings.append(f"only these crash points fired: {run.fired}")
    summary = check(run, endpoint)
    found = compare(run, rows, endpoint)
    for finding in run.findings:
        print(f"FINDING {finding}", file=sys.stderr)
    result = {"seed": args.seed, "store": args.store, "letters": args.letters, "kills": run.kills, "crash_points": run.fired,
              "replayed_by_killed_runs": before_it, "rows": found, "other_messages": messages,
              "seconds": round(time.monotonic() - run.begun, 1), "checker": summary, "findings": len(run.findings)}
    print(json.dumps(result))
    return 1 if run.findings else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--letters", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=12, help="rounds, each of one replay or two at once")
    parser.add_argument("--commit-letters", type=int, default=20, help="letters of one commit")
    parser.add_argument("--rate", type=int, default=200, help="other messages a second")
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, which is printed")
    parser.add_argument("--store", choices=["local", "s3"], default="local")
    parser.add_argument("--binary", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    parser.add_argument("--faults-binary", type=Path, help="one that was built with --features faults")
    parser.add_argument("--brokers", help="use this Kafka instead of an own one")
    parser.add_argument("--keep", type=Path, help="working folder to keep; default: a temporary one, kept on findings")
    args = parser.parse_args()
    unwind_on_sigterm()
    for binary in filter(None, (args.binary, args.faults_binary)):
        if not binary.is_file():
            parser.error(f"{binary} does not exist: build it with cargo build")
    if args.seed is None:
        args.seed = secrets.randbelow(1_000_000)
    print(f"seed {args.seed}", flush=True)
    return run_in_folder(lambda folder, servers: execute(args, folder, servers), args.keep, "tickhouse-replay-")


if __name__ == "__main__":
    sys.exit(main())
