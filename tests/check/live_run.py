#!/usr/bin/env python3
"""Live beside an ingest, through real Kafka: everything is told once, also when live is killed again and again.

    live_run.py --brokers B [--kills N] [--seconds S] [--rate R] [--seed X]

A simulated market goes into a new topic while `tickhouse ingest` and `tickhouse live` run; live is ended N times by
kill -9 at random moments and started again at once. Afterwards the identities of all events in the table `signals`, in
the topic of events and at a webhook (which answers 503 now and then, and hangs once) must be what live_oracle.py
computes of the rows of `ticks`; the first two hold none twice. Without kills the webhook gets each once. `tickhouse
alerts test` over the history must count the same alerts of a rule.

Prints what was compared, and how long ticks took to become events. Exit code 0: all equal; 1: differences.
Needs target/debug/tickhouse (or --tickhouse) and the packages of requirements.txt.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from deltalake import DeltaTable

import live_oracle
from servers import unwind_on_sigterm

REPOSITORY = Path(__file__).resolve().parents[2]
PARTITIONS, SYMBOLS = 4, 60
SETTLED = 60.0

CONFIG = """
[[live.rule]]
name = "jump"
when = "change_pct > 0.5 AND volume > 2 * volume_avg_10"
cool_down = "2s"
severity = "critical"

[[live.rule]]
name = "below"
when = "close < vwap * 0.9995"
until = "close > vwap"

[[live.webhook]]
name = "receiver"
url = "http://127.0.0.1:{port}/hook/a-secret-path"
kinds = ["rule", "price_alert"]
"""


def both(*values: float | None) -> bool:
    return None not in values


RULES: dict[str, live_oracle.Rule] = {
    "jump": (
        lambda v: both(v.change_pct, v.volume, v.volume_avg_10) and v.change_pct > 0.5 and v.volume > 2 * v.volume_avg_10,
        None,
        2_000_000,
    ),
    "below": (lambda v: both(v.vwap) and v.close < v.vwap * 0.9995, lambda v: both(v.vwap) and v.close > v.vwap, 0),
}


class Receiver(ThreadingHTTPServer):
    """Keeps the identities that it was sent with a 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.ids: Counter[str] = Counter()
        self.requests = 0
        self.refused = 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.requests += 1
            number = self.server.requests
        if number == 2:
            # Longer than the webhook is waited for.
            time.sleep(12)
        if number % 5 == 0 or number == 2:
            with self.server.lock:
                self.server.refused += 1
            self.send_response(503)
            self.end_headers()
            return
        with self.server.lock:
            self.server.ids.update(event["id"] for event in body["events"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Run:
    def __init__(self, args: argparse.Namespace, folder: Path, port: int):
        self.args, self.folder = args, folder
        name = uuid.uuid4().hex[:8]
        self.topic, self.events = f"live-ticks-{name}", f"live-events-{name}"
        self.lake, self.config = folder / "lake", folder / "live.toml"
        self.config.write_text(CONFIG.format(port=port))
        self.logs = 0

    def command(self, *words: str) -> list[str]:
        return [str(self.args.tickhouse), *words]

    def where(self) -> list[str]:
        return ["--brokers", self.args.brokers, "--table", str(self.lake)]

    def start(self, *words: str) -> subprocess.Popen:
        self.logs += 1
        log = (self.folder / f"{words[0]}-{self.logs}.log").open("w")
        return subprocess.Popen(self.command(*words), stdout=log, stderr=log)

    def live(self) -> subprocess.Popen:
        words = ["live", "--config", str(self.config), "--events-topic", self.events, "--commit-interval", "500ms"]
        return self.start(*words, *self.where())


def create_topic(brokers: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": brokers})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)


def ends(brokers: str, topic: str) -> dict[int, int]:
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": f"ends-{uuid.uuid4()}"})
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    found = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1] for p in partitions}
    consumer.close()
    return found


def read_events(brokers: str, topic: str) -> list[tuple[dict, int]]:
    """Every event with Kafka's time of it in milliseconds."""
    left = {partition: end for partition, end in ends(brokers, topic).items() if end > 0}
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": f"events-{uuid.uuid4()}", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in left])
    found, heard = [], time.monotonic()
    while left:
        if time.monotonic() - heard > 30:
            raise SystemExit(f"nothing of topic {topic} for 30 s")
        for message in consumer.consume(10_000, timeout=0.5):
            if message.error():
                raise SystemExit(str(message.error()))
            heard = time.monotonic()
            found.append((json.loads(message.value()), message.timestamp()[1]))
            if message.key().decode() != found[-1][0]["symbol"]:
                raise SystemExit(f"the key of {found[-1][0]} is {message.key()!r}")
            if message.offset() + 1 >= left.get(message.partition(), 0):
                left.pop(message.partition(), None)
    consumer.close()
    return found


def rows_of(lake: Path) -> list[dict]:
    table = DeltaTable(str(lake / "ticks")).to_pyarrow_table(columns=live_oracle.COLUMNS)
    table = table.set_column(1, "ts", table["ts"].cast("int64"))
    order = [(name, "ascending") for name in ("symbol", "ts", *live_oracle.COLUMNS[6:])]
    return table.sort_by(order).to_pylist()


def end(process: subprocess.Popen, what: str, folder: Path) -> None:
    process.send_signal(signal.SIGTERM)
    if process.wait(60) != 0:
        logs = "".join(path.read_text()[-2_000:] for path in sorted(folder.glob(f"{what}-*.log"))[-1:])
        raise SystemExit(f"{what} ended with {process.returncode}:\n{logs}")


def begin(run: Run, live: subprocess.Popen) -> None:
    """Waits for the commit that says where live begins: a live that is killed before it never was."""
    first = run.lake / "signals" / "_delta_log" / f"{1:020}.json"
    deadline = time.monotonic() + SETTLED
    while not first.exists():
        if live.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("live did not begin")
        time.sleep(0.05)


def stream(run: Run, dice: random.Random) -> int:
    """The market, the ingest, and live with its kills; returns how many messages there were."""
    args = run.args
    create_topic(args.brokers, run.topic)
    ingest_words = ["ingest", "--topic", run.topic, *run.where(), "--flush-interval", "1s", "--market-zone", "UTC"]
    # Makes the lake, so that live begins with the first tick.
    subprocess.run(run.command(*ingest_words, "--until-latest"), check=True, capture_output=True)
    ingest, live = run.start(*ingest_words), run.live()
    begin(run, live)
    market = run.start(
        *["produce", "simulate", "--brokers", args.brokers, "--topic", run.topic, "--symbols", str(SYMBOLS)],
        *["--rate", str(args.rate), "--duration", f"{args.seconds}s", "--anomalies", "0.01", "--seed", str(args.seed)],
    )
    try:
        moments = sorted(dice.uniform(0.5, args.seconds) for _ in range(args.kills))
        begun = time.monotonic()
        for moment in moments:
            time.sleep(max(0.0, begun + moment - time.monotonic()))
            live.kill()
            live.wait()
            live = run.live()
        if market.wait(args.seconds + 120) != 0:
            raise SystemExit("the simulation failed")
        wanted = ends(args.brokers, run.topic)
        deadline = time.monotonic() + SETTLED
        while sum(wanted.values()) > len(rows_of(run.lake)):
            if time.monotonic() > deadline:
                raise SystemExit("the ingest has not caught up")
            time.sleep(1)
        time.sleep(args.patience)
        end(live, "live", run.folder)
        end(ingest, "ingest", run.folder)
    finally:
        for process in (market, live, ingest):
            process.kill()
    signals = DeltaTable(str(run.lake / "signals"))
    told = {p: signals.transaction_version(f"tickhouse/0/{p}") for p in wanted}
    if told != wanted:
        raise SystemExit(f"live ended at {told}, the topic at {wanted}")
    return sum(wanted.values())


def compare(run: Run, receiver: Receiver, messages: int) -> list[str]:
    problems = []
    rows = rows_of(run.lake)
    expected = dict(live_oracle.events(rows, RULES))
    table = DeltaTable(str(run.lake / "signals")).to_pyarrow_table(columns=["id", "side"]).to_pylist()
    sent = read_events(run.args.brokers, run.events)

    def check(where: str, found: list[tuple[str, str | None]], wanted: dict[str, str | None]) -> None:
        twice = [id for id, count in Counter(id for id, _ in found).items() if count > 1]
        missing, more = set(wanted) - {id for id, _ in found}, {id for id, _ in found} - set(wanted)
        other = [id for id, side in found if id in wanted and wanted[id] != side]
        for what, ids in (("twice", twice), ("missing", missing), ("not expected", more), ("another side", other)):
            if ids:
                problems.append(f"{where}: {len(ids)} {what}, such as {sorted(ids)[0]}")

    check("table signals", [(row["id"], row["side"]) for row in table], expected)
    check("topic", [(event["id"], event.get("side")) for event, _ in sent], expected)
    hooked = {id for id in expected if "-rule-" in id or id.endswith("-price_alert")}
    if set(receiver.ids) != hooked:
        problems.append(f"webhook: {len(hooked - set(receiver.ids))} missing, {len(set(receiver.ids) - hooked)} more")
    again = sum(count - 1 for count in receiver.ids.values())
    if again and not run.args.kills:
        problems.append(f"webhook: {again} came again")
    kinds = Counter(id.split("-")[4] for id in expected)
    print(
        f"{messages} messages, {len(rows)} ticks of {SYMBOLS} symbols, live killed {run.args.kills} times: "
        f"{len(expected)} events expected ({', '.join(f'{kind} {count}' for kind, count in sorted(kinds.items()))}); "
        f"table {len(table)}, topic {len(sent)}, webhook {len(receiver.ids)} of {len(hooked)} "
        f"({receiver.refused} requests refused, {again} events came again)"
    )
    took = sorted(at - parse(event["ts"]) for event, at in sent)
    if took and not run.args.kills:
        print(
            f"from a tick's time to its event in the topic: median {statistics.median(took):.0f} ms, "
            f"p99 {took[int(len(took) * 0.99)]:.0f} ms, most {took[-1]:.0f} ms"
        )
    problems += check_history(run, expected)
    return problems


def parse(ts: str) -> float:
    """Milliseconds since the epoch."""
    from datetime import datetime

    return datetime.fromisoformat(ts).timestamp() * 1_000


def check_history(run: Run, expected: dict[str, str | None]) -> list[str]:
    problems = []
    for rule in RULES:
        count = sum(id.endswith(f"-rule-{rule}") for id in expected)
        words = ["alerts", "test", rule, "--config", str(run.config), "--table", str(run.lake), "--from", "1h"]
        done = subprocess.run(run.command(*words, "--format", "csv", "--expect", str(count)), capture_output=True, text=True)
        listed = len(done.stdout.splitlines()) - 1
        print(f"alerts test {rule}: {listed} over the history, {count} live")
        if done.returncode != 0 or listed != count:
            problems.append(f"alerts test {rule}: {listed}, expected {count}: {done.stderr.strip()}")
        wrong = subprocess.run(run.command(*words, "--expect", str(count + 1)), capture_output=True)
        if wrong.returncode != 4:
            problems.append(f"alerts test {rule} --expect {count + 1} exits with {wrong.returncode}, not 4")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--rate", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=5.0, help="seconds for live to catch up at the end")
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    args = parser.parse_args()
    unwind_on_sigterm()
    receiver = Receiver()
    with tempfile.TemporaryDirectory(prefix="tickhouse-live-") as folder:
        run = Run(args, Path(folder), receiver.server_port)
        messages = stream(run, random.Random(args.seed))
        problems = compare(run, receiver, messages)
        logs = "".join(path.read_text() for path in Path(folder).glob("*.log"))
        if "a-secret-path" in logs:
            problems.append("a log holds the webhook's address")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
