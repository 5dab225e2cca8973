#!/usr/bin/env python3
"""Ingest under load, killed again and again; at the end every message must be in exactly one place.

    kill_loop.py --kills 25 --store s3 --workers 2 --seed 7

A producer writes ticks, 2 % of them poison, at a steady rate; workers ingest with small flushes. Each event ends or
stops a worker: kill -9 at a random moment after start-up, before the first partition is assigned, at the sight of a new
data file, or at the sight of a new commit; now and then SIGTERM (which must leave with 0) or SIGSTOP for longer than the
session, while the others take over, then SIGCONT. Then `ingest --until-latest` and the independent checker.

Kafka and the S3 server are started unless --brokers is given. Prints the seed, one line for each event and a summary as
JSON. Exit code 0: nothing found; 1: findings (the working folder is kept); 2: usage.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from producer import Source, make_topic
from servers import REPOSITORY, Servers, unwind_on_sigterm
from worker import READING, Launcher, Worker, new_file

SESSION_MS = 3_000
FLUSHES = ["--flush-rows", "5000", "--flush-bytes", "1MiB", "--flush-interval", "200ms"]
SESSION = ["-X", f"session.timeout.ms={SESSION_MS}", "-X", "heartbeat.interval.ms=500"]
START_SECONDS = 60
WAYS = {"random": 45, "start-up": 10, "data file": 25, "commit": 20}


class Loop:
    def __init__(self, args: argparse.Namespace, launcher: Launcher, objects: Path, store_pid: int | None):
        self.args, self.launcher, self.objects, self.store_pid = args, launcher, objects, store_pid
        self.random = random.Random(args.seed)
        self.workers: dict[str, Worker] = {}
        self.findings: list[str] = []
        self.counts = {"kills": 0, "sigterms": 0, "zombies": 0, "outages": 0}
        self.begun = time.monotonic()

    def start(self, name: str) -> None:
        # A static member is back at once, a dynamic one waits for the session of its predecessor.
        static = self.random.random() < 0.7
        member = ["--instance-id", name] if static else []
        self.workers[name] = self.launcher.start(name, *member)

    def run(self) -> None:
        for n in range(self.args.workers):
            self.start(f"worker{n}")
        events = ["kill"] * self.args.kills + ["sigterm"] * self.args.sigterms + ["zombie"] * self.args.zombies
        events += ["outage"] * self.args.outages
        self.random.shuffle(events)
        for number, event in enumerate(events, 1):
            name = self.random.choice(sorted(self.workers))
            self.expect_alive()
            line = getattr(self, event)(name)
            seconds = time.monotonic() - self.begun
            print(f"{seconds:7.1f} s  {number:3}/{len(events)}  {name}  {line}", flush=True)

    def expect_alive(self) -> None:
        for name, worker in list(self.workers.items()):
            if not worker.alive():
                code = worker.process.returncode
                self.findings.append(f"{name} left by itself with {code}: {worker.tail()}")
                self.start(name)

    def working(self, name: str) -> Worker:
        worker = self.workers[name]
        if not worker.wait_for(READING, START_SECONDS) and worker.alive() and len(self.workers) == 1:
            self.findings.append(f"{name} got no partition within {START_SECONDS} s: {worker.tail()}")
        return worker

    def moment(self) -> float:
        return min(3.0, 0.1 + self.random.expovariate(1.0))

    def kill(self, name: str) -> str:
        way = self.random.choices(list(WAYS), list(WAYS.values()))[0]
        delay = self.moment()
        if way == "start-up":
            time.sleep(delay / 2)
            worker = self.workers[name]
        else:
            worker = self.working(name)
            time.sleep(delay)
            if way == "data file":
                new_file(self.objects / "ticks", 5, ".parquet")
            elif way == "commit":
                new_file(self.objects / "ticks" / "_delta_log", 5, ".json")
        commits = worker.commits()
        worker.kill()
        self.counts["kills"] += 1
        self.start(name)
        return f"kill -9 ({way}) after {commits} commits; {self.versions()}"

    def sigterm(self, name: str) -> str:
        worker = self.working(name)
        time.sleep(self.moment())
        code, seconds = worker.terminate()
        self.counts["sigterms"] += 1
        if code != 0:
            self.findings.append(f"{name}: SIGTERM ended with {code} after {seconds:.1f} s: {worker.tail()}")
        self.start(name)
        return f"SIGTERM: exit {code} after {seconds:.1f} s; {self.versions()}"

    def outage(self, name: str) -> str:
        """The store hangs, and then the worker is told to stop: what isn't committed is read again."""
        worker = self.working(name)
        time.sleep(self.moment())
        os.kill(self.store_pid, signal.SIGSTOP)
        try:
            time.sleep(self.moment())
            code, seconds = worker.terminate()
        finally:
            os.kill(self.store_pid, signal.SIGCONT)
        self.counts["outages"] += 1
        if code not in (0, 1):
            self.findings.append(f"{name}: SIGTERM beside a hanging store ended with {code} after {seconds:.1f} s: {worker.tail()}")
        self.start(name)
        return f"SIGTERM beside a hanging store: exit {code} after {seconds:.1f} s; {self.versions()}"

    def zombie(self, name: str) -> str:
        worker = self.working(name)
        time.sleep(self.moment())
        rival = None
        if len(self.workers) == 1:
            rival = self.launcher.start("rival")
        worker.pause()
        time.sleep(SESSION_MS / 1000 * (1.5 + self.random.random()))
        if rival and not rival.wait_for(READING, START_SECONDS):
            self.findings.append(f"nobody took over from a stopped worker: {rival.tail()}")
        worker.resume()
        time.sleep(self.moment())
        self.counts["zombies"] += 1
        if rival:
            rival.kill()
        return f"SIGSTOP past its session, then SIGCONT; {self.versions()}"

    def versions(self) -> str:
        log = self.objects / "ticks" / "_delta_log"
        found = sorted(path.stem for path in log.glob("*.json") if path.stem.isdigit()) if log.is_dir() else []
        return f"ticks at version {int(found[-1])}" if found else "no table yet"

    def stop_all(self) -> None:
        for name, worker in self.workers.items():
            if worker.alive():
                code, seconds = worker.terminate()
                if code != 0:
                    self.findings.append(f"{name}: SIGTERM at the end ended with {code} after {seconds:.1f} s: {worker.tail()}")

    def kill_all(self) -> None:
        for worker in self.workers.values():
            if worker.alive():
                worker.resume()
                worker.kill()


def catch_up(launcher: Launcher, findings: list[str]) -> float:
    """One worker to the end of the topic; a dead member holds its partitions until its session is over."""
    time.sleep(SESSION_MS / 1000 + 1)
    begun = time.monotonic()
    worker = launcher.start("final", "--until-latest")
    try:
        code = worker.process.wait(300)
    except subprocess.TimeoutExpired:
        worker.kill()
        code = None
    if code != 0:
        findings.append(f"ingest --until-latest ended with {code}: {worker.tail()}")
    return time.monotonic() - begun


def read_logs(folder: Path, secret: str, findings: list[str]) -> dict[str, int]:
    """Nothing of a payload and no secret in any log."""
    levels = {"WARN": 0, "ERROR": 0}
    for log in sorted(folder.glob("*.log")):
        for line in log.read_text(errors="replace").splitlines():
            for word in ("POISON", '"close"', secret):
                if word in line:
                    findings.append(f"P7 {log.name} shows a payload or a secret")
            if "panicked" in line:
                findings.append(f"{log.name}: {line}")
            for level in levels:
                levels[level] += f" {level} " in line
    return levels


def check(args: argparse.Namespace, launcher: Launcher, endpoint: str | None, findings: list[str]) -> dict:
    report = launcher.folder / "report.json"
    command = [sys.executable, REPOSITORY / "tests/check/checker.py", "--brokers", launcher.brokers]
    command += ["--topic", launcher.topic, "--table", launcher.table, "--json", report]
    command += ["--expected", launcher.folder / "expected.csv"]
    if endpoint:
        command += ["--s3-endpoint", endpoint]
    report.unlink(missing_ok=True)
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | launcher.environment)
    if not report.exists():
        findings.append(f"the checker ended with {done.returncode} and no report: {done.stderr.decode()[-2000:]}")
        return {}
    found = json.loads(report.read_text())
    findings.extend(found["findings"])
    return found["summary"]


def execute(args: argparse.Namespace, folder: Path, servers: Servers) -> int:
    brokers = args.brokers or servers.start("kafka.sh")["BROKERS"]
    flags, environment, endpoint, store_pid = [*FLUSHES, *SESSION], {}, None, None
    if args.store == "s3":
        s3 = servers.start("s3.sh")
        endpoint = s3["S3_ENDPOINT"]
        store_pid = int((servers.folder / "s3" / "s3.pid").read_text())
        flags += ["--s3-endpoint", endpoint, "--s3-region", s3["S3_REGION"], "--s3-allow-http"]
        environment = {key: s3[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        table, objects = f"s3://{s3['S3_BUCKET']}/killed", Path(s3["S3_OBJECTS"], s3["S3_BUCKET"], "killed")
    else:
        objects = folder / "lake"
        table = str(objects)
    topic = f"killed-{secrets.token_hex(4)}"
    make_topic(brokers, topic, args.partitions)
    launcher = Launcher(args.binary, brokers, topic, table, folder, flags, environment)
    source = Source(brokers, topic, args.rate, args.poison, args.seed, 100, folder / "expected.csv")
    loop = Loop(args, launcher, objects, store_pid)
    source.start()
    try:
        loop.run()
        messages = source.finish()
        loop.stop_all()
        seconds = catch_up(launcher, loop.findings)
        summary = check(args, launcher, endpoint, loop.findings)
    finally:
        loop.kill_all()
        source.halt.set()
    levels = read_logs(folder, environment.get("AWS_SECRET_ACCESS_KEY", "\0"), loop.findings)
    for finding in loop.findings:
        print(f"FINDING {finding}", file=sys.stderr)
    result = {
        "seed": args.seed,
        "store": args.store,
        "workers": args.workers,
        **loop.counts,
        "produced": messages,
        "seconds": round(time.monotonic() - loop.begun, 1),
        "catch_up_seconds": round(seconds, 1),
        "log_warnings": levels["WARN"],
        "log_errors": levels["ERROR"],
        "checker": summary,
        "findings": len(loop.findings),
    }
    print(json.dumps(result))
    return 1 if loop.findings else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--sigterms", type=int, default=0)
    parser.add_argument("--zombies", type=int, default=0)
    parser.add_argument("--outages", type=int, default=0, help="SIGTERM while the S3 server hangs")
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, which is printed")
    parser.add_argument("--store", choices=["local", "s3"], default="local")
    parser.add_argument("--workers", type=int, choices=[1, 2], default=1)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--rate", type=int, default=5_000, help="messages a second")
    parser.add_argument("--poison", type=float, default=0.02)
    parser.add_argument("--binary", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    parser.add_argument("--brokers", help="use this Kafka instead of an own one")
    parser.add_argument("--keep", type=Path, help="working folder to keep; default: a temporary one, kept on findings")
    args = parser.parse_args()
    unwind_on_sigterm()
    if args.outages and args.store != "s3":
        parser.error("--outages needs --store s3")
    if not args.binary.is_file():
        parser.error(f"{args.binary} does not exist: build it with cargo build, or name it with --binary")
    args.binary = args.binary.resolve()
    if args.seed is None:
        args.seed = secrets.randbelow(1_000_000)
    print(f"seed {args.seed}", flush=True)
    folder = args.keep or Path(tempfile.mkdtemp(prefix="tickhouse-kill-"))
    folder.mkdir(parents=True, exist_ok=True)
    servers = Servers(folder)
    code = 1
    try:
        code = execute(args, folder, servers)
    finally:
        servers.stop()
        if code == 0 and not args.keep:
            shutil.rmtree(folder)
        else:
            print(f"logs and tables are in {folder}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
