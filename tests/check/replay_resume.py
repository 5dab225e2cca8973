#!/usr/bin/env python3
"""`produce replay --resume` of a CSV file, killed again and again; at the end every row is in the topic once, in order.

    replay_resume.py --rows 200000 --kills 8 --seed 7

The file has one wrong row in the middle. Half of the runs are ended by kill -9 at random moments before it, then one run has
to end at it and say how many messages are in the topic; the row is corrected, and the same command is killed as often again
before it may end. A last run has to find that everything is there. A reader of committed messages then has to find each row
once and the rows of a symbol in the order of the file; a reader of all messages has to find more, or no kill hit a
transaction.

Kafka is started unless --brokers is given. Prints the seed, a line for each run and a summary as JSON. Exit code 0: nothing
found; 1: findings (the working folder is kept); 2: usage.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, TopicPartition

from producer import make_topic
from servers import REPOSITORY, Servers, run_in_folder, unwind_on_sigterm

PARTITIONS = 4
SYMBOLS = 50
FIRST_SECOND = 1_700_000_000
RUN_SECONDS = 120
# Rows are a second apart: runs that are to be killed send this many a second at most, and don't end before.
KILLED_PACE = "30000x"
BEGUN = re.compile(r"replay '\w+': (?:(\d+) messages are in the topic|Kafka knows of no earlier run)")
COMMITTED = " committed "
STOPPED = re.compile(r"(\d+) messages of replay '\w+' are in the topic; correct the cause")


@dataclass
class Run:
    args: argparse.Namespace
    brokers: str
    topic: str
    file: Path
    random: random.Random
    findings: list[str] = field(default_factory=list)
    kills: int = 0
    begun: float = field(default_factory=time.monotonic)

    def command(self, *more: str) -> list[str]:
        words = [str(self.args.binary), "produce", "replay", str(self.file), "--resume", "check", "--time-unit", "s"]
        return [*words, "--brokers", self.brokers, "--topic", self.topic, *more]

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.begun:6.1f} s  {text}", flush=True)

    def kill(self) -> None:
        process = subprocess.Popen(self.command("--pace", KILLED_PACE, "--log", "debug"), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        before = next((found[1] or "0" for line in process.stderr if (found := BEGUN.search(line))), None)
        # Without a commit of its own the run may still read past what was sent before.
        commits = self.random.randint(0, 2)
        for _ in range(commits):
            next((line for line in process.stderr if COMMITTED in line), None)
        time.sleep(self.random.uniform(0, 0.3))
        process.kill()
        rest, code = process.stderr.read(), process.wait()
        if code != -signal.SIGKILL or before is None:
            self.findings.append(f"a run that was to be killed ended with {code}: {rest[-500:]}")
        self.kills += 1
        self.say(f"kill {self.kills}: began behind {before} messages, after {commits} commits")

    def to_the_end(self) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_SECONDS)


def write_rows(file: Path, rows: int, wrong: int | None) -> None:
    with file.open("w") as out:
        out.write("symbol,ts,close\n")
        for row in range(1, rows + 1):
            out.write(f"S{row * 7919 % SYMBOLS},{FIRST_SECOND + row},{'oops' if row == wrong else row}\n")


def read_rows(brokers: str, topic: str, isolation: str) -> list[tuple[bytes, int]]:
    """Key and number of each message; those of a partition in its order."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "replay-resume-check", "enable.auto.commit": False,
                         "isolation.level": isolation, "enable.partition.eof": True, "auto.offset.reset": "error"})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found, at_end = [], set()
    while len(at_end) < PARTITIONS:
        message = consumer.poll(20)
        if message is None:
            raise SystemExit("the brokers don't answer")
        if message.error() is None:
            found.append((message.key(), round(json.loads(message.value())["close"])))
        elif message.error().code() == KafkaError._PARTITION_EOF:
            at_end.add(message.partition())
        else:
            raise SystemExit(f"read the topic: {message.error()}")
    consumer.close()
    return found


def check(run: Run, rows: int) -> dict:
    found = read_rows(run.brokers, run.topic, "read_committed")
    numbers = [number for _, number in found]
    if sorted(numbers) != list(range(1, rows + 1)):
        twice, missing = len(numbers) - len(set(numbers)), rows - len(set(numbers))
        run.findings.append(f"{len(numbers)} messages: {twice} rows more than once, {missing} missing")
    last: dict[bytes, int] = {}
    for key, number in found:
        if key != f"S{number * 7919 % SYMBOLS}".encode() or number <= last.get(key, 0):
            run.findings.append(f"row {number} has the key {key} and comes after row {last.get(key)}")
            break
        last[key] = number
    given_up = len(read_rows(run.brokers, run.topic, "read_uncommitted")) - len(found)
    if given_up <= 0:
        run.findings.append("no kill hit an open transaction")
    return {"messages": len(found), "given_up": given_up}


def execute(args: argparse.Namespace, folder: Path, servers: Servers) -> int:
    brokers = args.brokers or servers.start("kafka.sh")["BROKERS"]
    topic = f"resumed-{secrets.token_hex(4)}"
    make_topic(brokers, topic, PARTITIONS)
    run = Run(args, brokers, topic, folder / "rows.csv", random.Random(args.seed))
    wrong = args.rows // 2
    write_rows(run.file, args.rows, wrong)
    for _ in range(args.kills // 2):
        run.kill()
    stopped = run.to_the_end()
    found = STOPPED.search(stopped.stderr)
    if stopped.returncode != 1 or f"row {wrong}:" not in stopped.stderr or not found or int(found[1]) >= wrong:
        run.findings.append(f"at the wrong row a run ended with {stopped.returncode}: {stopped.stderr[-500:]}")
    elif (there := len(read_rows(brokers, topic, "read_committed"))) != int(found[1]):
        run.findings.append(f"a run said that {found[1]} messages are in the topic, and {there} are")
    run.say(f"the wrong row: {found[0] if found else stopped.stderr}")
    write_rows(run.file, args.rows, None)
    for _ in range(args.kills - args.kills // 2):
        run.kill()
    last = run.to_the_end()
    if last.returncode != 0 or f"is complete with {args.rows} messages" not in last.stdout:
        run.findings.append(f"the last run ended with {last.returncode}: {last.stdout} {last.stderr[-500:]}")
    run.say(last.stdout.strip())
    nothing = run.to_the_end()
    if nothing.returncode != 0 or "nothing was sent" not in nothing.stdout:
        run.findings.append(f"a run after it ended with {nothing.returncode}: {nothing.stdout} {nothing.stderr[-500:]}")
    summary = check(run, args.rows)
    for finding in run.findings:
        print(f"FINDING {finding}", file=sys.stderr)
    result = {"seed": args.seed, "rows": args.rows, "kills": run.kills, **summary,
              "seconds": round(time.monotonic() - run.begun, 1), "findings": len(run.findings)}
    print(json.dumps(result))
    return 1 if run.findings else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, which is printed")
    parser.add_argument("--binary", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    parser.add_argument("--brokers", help="use this Kafka instead of an own one")
    parser.add_argument("--keep", type=Path, help="working folder to keep; default: a temporary one, kept on findings")
    args = parser.parse_args()
    unwind_on_sigterm()
    if not args.binary.is_file():
        parser.error(f"{args.binary} does not exist: build it with cargo build")
    if args.seed is None:
        args.seed = secrets.randbelow(1_000_000)
    print(f"seed {args.seed}", flush=True)
    return run_in_folder(lambda folder, servers: execute(args, folder, servers), args.keep, "tickhouse-resume-")


if __name__ == "__main__":
    sys.exit(main())
