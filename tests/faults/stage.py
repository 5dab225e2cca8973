"""A topic and a lake of their own, with the workers and the producer of a round: what faults act on."""

from __future__ import annotations

import os
import random
import re
import secrets
import subprocess
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import pyarrow.parquet as parquet
from confluent_kafka.admin import AdminClient

import aftermath
from delta_log import Folder, read_table
from disk import mount, unmount
from ground import Ground
from kinds import Missed
from producer import Source, make_topic
from schedule import Round
from topic_dump import dump_topic
from worker import READING, Launcher, Worker

SESSION_MS = 3_000
START_SECONDS = 60
RECOVERY_SECONDS = 90
CATCH_UP_SECONDS = 180
PARTITIONS = 4
FLAGS = ["-X", f"session.timeout.ms={SESSION_MS}", "-X", "heartbeat.interval.ms=500"]
FLAGS += ["-X", "topic.metadata.refresh.interval.ms=1000"]
# Ends of a worker that a supervisor answers, by what it says: docs/reliability.md, known limits.
EXITS = ("Static consumer fenced by other consumer",)
# The same of a worker that goes on, as the summary calls it.
NOBODYS = "a static member came back within a hand-over"
# So often that checkpoints are part of every round, and no long wait for a store that is away.
ENVIRONMENT = {"TICKHOUSE_INGEST_CHECKPOINT_COMMITS": "10", "TICKHOUSE_INGEST_STOP_TIMEOUT": "10s"}
# Settings that a kind of fault may overrule by a flag; a flag given twice is an error.
ENVIRONMENT |= {"TICKHOUSE_INGEST_FLUSH_ROWS": "5000", "TICKHOUSE_INGEST_FLUSH_BYTES": "1MiB"}
ENVIRONMENT |= {"TICKHOUSE_INGEST_FLUSH_INTERVAL": "200ms"}


@dataclass
class Finished:
    code: int | None
    output: str


@dataclass
class Stage:
    ground: Ground
    plan: Round
    binary: Path
    folder: Path
    findings: list[str] = field(default_factory=list)
    workers: dict[str, Worker] = field(default_factory=dict)
    """Seconds from the end of each settled fault to the next commit."""
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    """What the checker has to know."""
    lost: int = 0
    disk: bool = False
    topic_config: dict[str, str] | None = None
    """How often a worker ended as in EXITS."""
    exits: dict[str, int] = field(default_factory=dict)
    """Of the checker, once it has run."""
    summary: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.random = random.Random(self.plan.seed)
        self.kafka = self.ground.kafka(self.plan.brokers)
        self.topic = f"faults-{secrets.token_hex(4)}"
        self.s3 = self.ground.s3() if self.plan.store == "s3" else None
        flags, environment = list(FLAGS), dict(ENVIRONMENT)
        if self.s3:
            flags += ["--s3-endpoint", self.s3.endpoint, "--s3-region", self.s3.region, "--s3-allow-http"]
            environment |= self.s3.keys
            table, self.objects = f"s3://{self.s3.bucket}/{self.topic}", self.s3.objects / self.topic
        else:
            self.objects = self.folder / "disk" / "lake"
            self.objects.parent.mkdir()
            table = str(self.objects)
        self.launcher = Launcher(self.binary, self.kafka.proxied, self.topic, table, self.folder, flags, environment)
        copies = 3 if self.plan.brokers == 3 else 1
        make_topic(self.kafka.direct, self.topic, PARTITIONS, copies, self.topic_config)
        if self.plan.brokers == 3:
            self.ground.cluster.wait_for_topic(self.topic)
        self.expected = self.folder / "expected.csv"
        self.source = Source(self.kafka.direct, self.topic, self.plan.rate, self.plan.poison, self.plan.seed, 100, self.expected)
        if self.disk:
            mount(self.objects.parent)

    # The load.

    def begin(self) -> None:
        self.source.start()
        for number in range(self.plan.workers):
            self.start(f"worker{number}")

    def start(self, name: str, environment: dict[str, str] | None = None) -> Worker:
        # A static member is back at once, a dynamic one waits for the session of its predecessor.
        static = self.random.random() < 0.7
        member = ["--instance-id", name] if static else []
        self.workers[name] = self.launcher.start(name, *member, environment=environment)
        return self.workers[name]

    def any_worker(self, chance: random.Random) -> str:
        return chance.choice(sorted(self.workers))

    def working(self, name: str) -> Worker:
        """A worker that has begun to read, or had the time to."""
        worker = self.workers[name]
        if not worker.wait_for(READING, START_SECONDS) and worker.alive() and not self.is_left_over(worker):
            self.findings.append(f"{name} got no partition within {START_SECONDS} s: {worker.tail()}")
        return worker

    def may_have_said(self, words: bytes) -> bool:
        """Some worker said so, or could not: a log has one line a minute of what is tried again, and another error had it."""
        now = datetime.now(timezone.utc)
        for worker in self.workers.values():
            log = worker.log.read_bytes()
            lines = re.findall(rb"^(\S+Z) +WARN .*trying again", log, re.MULTILINE)
            if words in log or any((now - datetime.fromisoformat(line.decode())).total_seconds() < 60 for line in lines):
                return True
        return False

    def is_left_over(self, worker: Worker) -> bool:
        """Has nobody the partitions that this worker should have? docs/reliability.md, known limits: a static member."""
        group = re.search(rb'group="([^"]+)"', worker.log.read_bytes())
        if not group or not worker.says(b"no partition for this worker"):
            return False
        admin = AdminClient({"bootstrap.servers": self.kafka.direct})
        [found] = admin.describe_consumer_groups([group[1].decode()]).values()
        members = found.result(timeout=30).members
        owned = {at.partition for member in members for at in member.assignment.topic_partitions}
        missing = set(admin.list_topics(self.topic, timeout=30).topics[self.topic].partitions) - owned
        if not missing or not any(member.group_instance_id for member in members):
            return False
        self.exits[NOBODYS] = self.exits.get(NOBODYS, 0) + 1
        return True

    def is_known_exit(self, worker: Worker) -> bool:
        for words in EXITS:
            if words in worker.tail():
                self.exits[words] = self.exits.get(words, 0) + 1
                return True
        return False

    def terminate(self, worker: Worker) -> str:
        code, seconds = worker.terminate()
        if code != 0 and not self.is_known_exit(worker):
            self.findings.append(f"{worker.name}: SIGTERM ended with {code} after {seconds:.1f} s: {worker.tail()}")
        return f"{worker.name} left with {code} after {seconds:.1f} s"

    def expect_alive(self) -> None:
        for name, worker in list(self.workers.items()):
            if not worker.alive():
                if not self.is_known_exit(worker):
                    code = worker.process.returncode
                    self.findings.append(f"{name} left by itself with {code}: {worker.tail()}")
                self.start(name)

    def replace(self, name: str, environment: dict[str, str] | None = None) -> Worker:
        self.workers[name].kill()
        return self.start(name, environment)

    # What can be seen of the lake.

    def version(self, table: str = "ticks") -> int:
        log = self.objects / table / "_delta_log"
        versions = [int(path.stem) for path in log.glob("*.json") if path.stem.isdigit()] if log.is_dir() else []
        return max(versions, default=-1)

    def next_commit(self, after: int, seconds: float) -> float | None:
        """Seconds until `ticks` has a version above `after`; None: not within the time."""
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            if self.version() > after:
                return time.monotonic() - begun
            time.sleep(0.02)
        return None

    def settle(self, kind: str) -> None:
        """P8 after one fault: the next commit comes in bounded time, with a supervisor that starts workers again."""
        before, begun, seconds = self.version(), time.monotonic(), None
        while seconds is None and time.monotonic() - begun < RECOVERY_SECONDS:
            self.expect_alive()
            if self.next_commit(before, 0.5) is not None:
                seconds = time.monotonic() - begun
        if seconds is None:
            tails = "\n".join(f"{name}: {worker.tail(4)}" for name, worker in self.workers.items())
            self.findings.append(f"P8 no commit within {RECOVERY_SECONDS} s after {kind}: {tails}")
        else:
            self.recoveries.setdefault(kind, []).append(round(seconds, 3))

    def wait_hits(self, proxy, seconds: float, least: int = 1) -> int:
        """Until the rule of the S3 proxy has struck."""
        end = time.monotonic() + seconds
        while (hits := proxy.tell()["hits"]) < least:
            if time.monotonic() > end:
                raise Missed(f"the proxy met no such request within {seconds:.0f} s")
            time.sleep(0.02)
        return hits

    # Without load.

    def produce(self, count: int) -> None:
        before = self.source.acknowledged
        for number in range(before, before + count):
            self.source.send(number)
        left = self.source.producer.flush(60)
        if left or self.source.failed:
            raise RuntimeError(f"{left} messages not acknowledged: {self.source.failed[:3]}")
        self.source.file.flush()

    def ingest(self, *more: str, name: str = "once") -> Finished:
        """To the end of the topic."""
        worker = self.launcher.start(name, "--until-latest", *more)
        try:
            code = worker.process.wait(CATCH_UP_SECONDS)
        except subprocess.TimeoutExpired:
            worker.kill()
            code = None
        return Finished(code, worker.log.read_text(errors="replace"))

    def expect_ingest(self, *more: str) -> Finished:
        done = self.ingest(*more)
        if done.code != 0:
            self.findings.append(f"ingest --until-latest {' '.join(more)} ended with {done.code}: {done.output[-2000:]}")
        return done

    def expect_refusal(self, code: int, words: list[str], *more: str) -> Finished:
        """It leaves with this code, says these words, and commits nothing."""
        before = self.version()
        done = self.ingest(*more, name="refused")
        if done.code != code:
            self.findings.append(f"expected exit code {code}, got {done.code}: {done.output[-2000:]}")
        for word in words:
            if word not in done.output:
                self.findings.append(f"the refusal does not say '{word}': {done.output[-2000:]}")
        if self.version() != before:
            self.findings.append(f"it refused, and yet ticks went from version {before} to {self.version()}")
        return done

    def command(self, *words: str) -> subprocess.CompletedProcess:
        environment = os.environ | self.launcher.environment | {"NO_COLOR": "1"}
        return subprocess.run([self.binary, *words], env=environment, capture_output=True, text=True)

    def messages(self) -> int:
        """That the topic still has."""
        path = self.folder / "messages.parquet"
        dump_topic(self.kafka.direct, self.topic, path, False, "read_committed")
        return parquet.read_metadata(path).num_rows

    def next_offsets(self) -> dict[int, int]:
        record = read_table(Folder(self.objects / "ticks")).record
        return {int(number): one["next"] for number, one in record["partitions"].items()}

    # The end.

    def check(self, expected: bool = True, first: str = "low") -> None:
        self.summary = aftermath.check(self, expected, first)

    def finish(self) -> None:
        """Ends the load, reads the rest of the topic and checks."""
        self.source.finish()
        self.stop_workers()
        # In the same group, as a restart is; its dead members hold their partitions until their session is over.
        time.sleep(SESSION_MS / 1000 + 1)
        begun = time.monotonic()
        self.expect_ingest()
        if (seconds := time.monotonic() - begun) > CATCH_UP_SECONDS / 2:
            self.findings.append(f"P8 the rest of the topic took {seconds:.0f} s")
        self.check()
        if self.plan.store == "local":
            aftermath.sweep(self)

    def stop_workers(self) -> None:
        for name, worker in self.workers.items():
            if worker.alive():
                self.terminate(worker)

    def calm(self) -> None:
        """After a fault, whatever it came to: the servers behave again."""
        if self.s3:
            self.s3.proxy.tell(rule=None)
        if self.kafka.proxy:
            self.kafka.proxy.tell(mode="pass")
        self.source.poison = self.plan.poison

    def close(self) -> None:
        """Whatever happened: nothing of it runs on."""
        self.source.halt.set()
        for worker in self.workers.values():
            if worker.alive():
                worker.resume()
                worker.kill()
        if self.disk and self.objects.parent.is_mount():
            unmount(self.objects.parent)
