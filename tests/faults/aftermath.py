"""What must hold when a round is over: P1 to P4 by the independent checker, P5 to P8 here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import readers
from delta_log import Folder, read_table
from servers import REPOSITORY

if TYPE_CHECKING:
    from stage import Stage

# Of one flush: ticks of today, of the day before or after it at midnight, of the poison's day; dead letters.
FILES_A_FLUSH = 4
FILES_A_MAINTENANCE = 24
# Older than what maintain leaves alone.
WEEK = 8 * 24 * 3600
FENCED = ("another worker was faster", "the last batch is not written")
SECOND_READER = "SELECT count(*) AS n, sum(volume) AS volume, sum(close) AS close FROM ticks"


def check(stage: Stage, expected: bool = True, first: str = "low") -> dict:
    """`expected`: every message of the producer is still in the topic."""
    if not stage.source.file.closed:
        stage.source.finish()
    report = stage.folder / "report.json"
    command = [sys.executable, REPOSITORY / "tests/check/checker.py", "--brokers", stage.kafka.direct]
    # The objects of the S3 server are plain files: the checker reads them without the server and its proxy.
    command += ["--topic", stage.topic, "--table", stage.objects, "--json", report]
    command += ["--expected", stage.expected] if expected else []
    command += ["--any-start"] if first == "any" else []
    command += ["--isolation", "read_committed", "--lost", str(stage.lost)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ)
    if not report.exists():
        stage.findings.append(f"the checker ended with {done.returncode} and no report: {done.stderr.decode()[-2000:]}")
        summary = {}
    else:
        found = json.loads(report.read_text())
        stage.findings.extend(found["findings"])
        summary = found["summary"]
        second_reader(stage, summary)
        orphans(stage, summary)
    logs(stage)
    return summary


def second_reader(stage: Stage, summary: dict) -> None:
    """P5: an engine that reads the table by its own Delta library."""
    row = readers.duckdb(str(stage.objects), stage.binary, SECOND_READER)
    for name, own in (("n", "tick_rows"), ("volume", "sum_volume"), ("close", "sum_close")):
        if abs((row[name] or 0) - summary[own]) > 1e-9 * max(1.0, abs(summary[own])):
            stage.findings.append(f"P5 DuckDB reads {name} {row[name]}, the checker {summary[own]}")


def orphans(stage: Stage, summary: dict) -> None:
    """P6: a process that ends, and a batch that is fenced, leave the files of one flush at most."""
    fences = sum(log.read_text(errors="replace").count(words) for log in stage.folder.glob("*.log") for words in FENCED)
    # Of two at once, each may be outrun by the other in every round for every table.
    maintained = len(list(stage.folder.glob("maintain-*.log")))
    bound = FILES_A_FLUSH * (stage.launcher.started + fences) + FILES_A_MAINTENANCE * maintained
    if summary["orphans"] > bound:
        stage.findings.append(f"P6 {summary['orphans']} orphans after {stage.launcher.started} processes and {fences} fences")


def sweep(stage: Stage) -> None:
    """What killed processes left goes when it is a week old, and nothing else does."""
    for table in ("ticks", "dead_letters"):
        for file in (stage.objects / table).glob("*/*.parquet"):
            if file.parent.name != "_delta_log":
                os.utime(file, (time.time() - WEEK, time.time() - WEEK))
    done = stage.command("maintain", "--table", stage.launcher.table, "--ignore-lease")
    if done.returncode != 0:
        stage.findings.append(f"maintain ended with {done.returncode}: {done.stderr[-2000:]}")
    for name in ("ticks", "dead_letters"):
        table = read_table(Folder(stage.objects / name))
        if left := table.orphans():
            stage.findings.append(f"P6 {name}: {len(left)} orphans of a week ago are still there, as {left[:3]}")
        if gone := [path for path in table.adds if path not in table.sizes]:
            stage.findings.append(f"P4 {name}: maintain deleted {len(gone)} files that the table needs, as {gone[:3]}")


def logs(stage: Stage) -> None:
    """P7, and no panic."""
    secret = stage.s3.keys["AWS_SECRET_ACCESS_KEY"] if stage.s3 else None
    for log in sorted(stage.folder.glob("*.log")):
        text = log.read_text(errors="replace")
        for word in filter(None, ("POISON", '"close"', secret)):
            if word in text:
                stage.findings.append(f"P7 {log.name} shows a payload or a secret")
        stage.findings.extend(f"{log.name}: {line}" for line in text.splitlines() if "panicked" in line)
