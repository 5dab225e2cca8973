#!/usr/bin/env python3
"""Health and numbers of an ingest, from outside: what a scraper, a probe and an operator see.

    metrics_run.py --tickhouse BINARY --promtool PROMTOOL --folder DIR

Starts Kafka, an S3 server, a producer and an ingest, and scrapes it once a second. Then:
- promtool accepts the scrape; every metric that the alerts and the Grafana dashboard name is in it, and every metric of
  the scrape is in docs/operations.md
- counters never fall; what was read is what was committed plus what is still in the buffer
- without its store, and without its brokers, the ingest is alive and not ready, and ready again when they are back
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from servers import REPOSITORY, SERVERS, Servers, unwind_on_sigterm
from worker import Worker

TOPIC = "metrics"
NAMES = re.compile(r"\b(?:tickhouse|process)_[a-z_]+[a-z]\b")
#: Suffixes of the samples of a histogram.
PARTS = re.compile(r"_(?:bucket|sum|count)$")
PATIENCE = 60


class Scraper:
    def __init__(self, url: str):
        self.url = url

    def ask(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def status(self) -> dict:
        return json.loads(self.ask("/status")[1])

    def samples(self) -> dict[str, float]:
        return samples(self.ask("/metrics")[1])

    def until(self, what: str, is_so) -> float:
        """Seconds until it is so."""
        begun = time.monotonic()
        while not is_so():
            if time.monotonic() - begun > PATIENCE:
                raise SystemExit(f"{what}: not within {PATIENCE} s: {self.ask('/readyz')} {self.ask('/status')[1]}")
            time.sleep(0.2)
        return time.monotonic() - begun

    def reasons(self) -> list[str]:
        code, body = self.ask("/readyz")
        reasons = [reason["code"] for reason in json.loads(body)["reasons"]]
        if (code == 200) != (reasons == []):
            raise SystemExit(f"/readyz says {code} with {reasons}")
        return reasons

    def require_alive(self) -> None:
        code, body = self.ask("/livez")
        if code != 200:
            raise SystemExit(f"/livez says {code}: {body}")


def samples(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {key: float(value) for key, value in (line.rsplit(" ", 1) for line in lines)}


def families(text: str) -> dict[str, str]:
    return dict(line.split()[2:4] for line in text.splitlines() if line.startswith("# TYPE "))


def check_names(scrape: str) -> None:
    known = set(families(scrape))
    infra = REPOSITORY / "infra"
    for path in (infra / "prometheus/alerts.yml", infra / "grafana/tickhouse.json"):
        text = path.read_text()
        named = {PARTS.sub("", name) if PARTS.sub("", name) in known else name for name in NAMES.findall(text)}
        if strangers := named - known:
            raise SystemExit(f"{path.name} names what is not scraped: {sorted(strangers)}")
        if len(named) < 10:
            raise SystemExit(f"{path.name} names {len(named)} metrics only")
    documented = set(NAMES.findall((REPOSITORY / "docs/operations.md").read_text()))
    if missing := known - documented:
        raise SystemExit(f"docs/operations.md says nothing of {sorted(missing)}")
    if strangers := {name for name in documented if PARTS.sub("", name) not in known and name not in known}:
        raise SystemExit(f"docs/operations.md names what is not scraped: {sorted(strangers)}")


def check_counters(scraper: Scraper, seconds: int) -> None:
    """Scrapes once a second; counters never fall and the numbers of each scrape agree."""
    before: dict[str, float] = {}
    for _ in range(seconds):
        text = scraper.ask("/metrics")[1]
        now, kinds = samples(text), families(text)
        for key, value in before.items():
            name = key.split("{")[0]
            if kinds.get(name, kinds.get(PARTS.sub("", name))) != "gauge" and now[key] < value:
                raise SystemExit(f"{key} fell from {value} to {now[key]}")
        # The simulator sends canonical messages: each is one row.
        committed = now['tickhouse_offsets_committed_total{fate="stored"}']
        buffered = sum(value for key, value in now.items() if key.startswith("tickhouse_buffer_rows"))
        read = now["tickhouse_messages_read_total"]
        if read == 0 or read != committed + buffered:
            raise SystemExit(f"{read} read, {committed} committed, {buffered} in the buffer")
        before = now
        time.sleep(1)


def execute(args: argparse.Namespace, servers: Servers, running: list[Worker]) -> None:
    brokers = servers.start("kafka.sh")["BROKERS"]
    s3 = servers.start("s3.sh")
    environment = os.environ | {key: value for key, value in s3.items() if key.startswith("AWS_")}

    def start(name: str, *words: str) -> Worker:
        log = args.folder / f"{name}.log"
        with log.open("wb") as out:
            command = [args.tickhouse, *words, "--brokers", brokers, "--topic", TOPIC]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
        running.append(Worker(name, process, log, b""))
        return running[-1]

    simulate = ["produce", "simulate", "--partitions", "2", "--symbols", "50", "--rate", "2000"]
    if code := start("first", *simulate, "--duration", "1s").process.wait(PATIENCE):
        raise SystemExit(f"the producer ended with {code}:\n{running[-1].tail()}")
    start("simulate", *simulate)
    ingest = start(
        "ingest", "ingest", "--table", f"s3://{s3['S3_BUCKET']}/metrics", "--s3-endpoint", s3["S3_ENDPOINT"],
        "--s3-region", s3["S3_REGION"], "--s3-allow-http", "--flush-interval", "1s", "--metrics-listen", "127.0.0.1:0",
    )
    found = None
    end = time.monotonic() + PATIENCE
    while not (found := re.search(rb"metrics at (http://\S+)/metrics", ingest.log.read_bytes())):
        if time.monotonic() > end:
            raise SystemExit(f"the ingest names no address:\n{ingest.tail()}")
        time.sleep(0.1)
    scraper = Scraper(found.group(1).decode())
    scraper.until("ready", lambda: scraper.reasons() == [])
    scraper.until("three commits", lambda: scraper.status()["counters"]["commits"] >= 3)
    check_counters(scraper, args.seconds)

    scrape = scraper.ask("/metrics")[1]
    (args.folder / "scrape.txt").write_text(scrape)
    checked = subprocess.run([args.promtool, "check", "metrics"], input=scrape, text=True, capture_output=True)
    if checked.returncode != 0 or checked.stderr.strip():
        raise SystemExit(f"promtool check metrics: {checked.stdout}{checked.stderr}")
    check_names(scrape)
    print(f"{len(families(scrape))} metrics, {len(scrape.splitlines())} lines")

    for script, reason in (("s3.sh", "store_failing"), ("kafka.sh", "brokers_away")):
        subprocess.run([SERVERS / script, "stop", args.folder / script.removesuffix(".sh")], check=True)
        noticed = scraper.until(f"without {script}", lambda: reason in scraper.reasons())
        scraper.require_alive()
        if scraper.samples()["tickhouse_ready"] != 0:
            raise SystemExit("tickhouse_ready is 1")
        before = scraper.status()["counters"]["commits"]
        subprocess.run([SERVERS / script, "start", args.folder / script.removesuffix(".sh")], check=True, stdout=subprocess.DEVNULL)
        back = scraper.until(f"with {script} again", lambda: scraper.reasons() == [])
        scraper.until("a commit", lambda: scraper.status()["counters"]["commits"] > before)
        print(f"{reason}: not ready after {noticed:.1f} s, ready {back:.1f} s after the start of the server")

    code, seconds = ingest.terminate()
    if code != 0:
        raise SystemExit(f"the ingest ended with {code}:\n{ingest.tail()}")
    print(f"SIGTERM: exit {code} after {seconds:.1f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    parser.add_argument("--promtool", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="for logs and data")
    parser.add_argument("--seconds", type=int, default=15, help="of scrapes, one a second")
    args = parser.parse_args()
    unwind_on_sigterm()
    servers, running = Servers(args.folder), []
    try:
        execute(args, servers, running)
    finally:
        for worker in running:
            if worker.alive():
                worker.kill()
        servers.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
