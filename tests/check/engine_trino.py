#!/usr/bin/env python3
"""What `tickhouse query --engine trino` does beside right rows, on a server of trino.sh.

    eval "$(tests/servers/trino.sh start DIR)"; export TRINO_URL TRINO_LAKES
    "$(tests/servers/python.sh tests/check/requirements-catalog.txt)" tests/check/engine_trino.py

CSV is byte for byte that of the local engine where no double is computed, and has the same header and number of lines
everywhere; a wrong statement shows its place and one that Trino can't run says why, with the exit codes of the local
engine; Ctrl-C ends the query at the server. Exit code 0: so it is.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from catalog_engines import Trino, trino
from catalog_expected import CASES, OURS
from catalog_series import SERIES, arrived, write_lake

REPOSITORY = Path(__file__).resolve().parents[2]
#: Queries that only pick values.
PICKED = ("latest", "price_history", "late_ticks", "symbols", "gaps", "volume_confirmation")
#: Answers that depend on the day are asked for all days.
SINCE = {name: ["--param", "since=2026-01-01"] for name in ("latest", "movers")}


def check(condition: bool, problem: str) -> None:
    if not condition:
        sys.exit(f"engine_trino.py: {problem}")


class Run:
    def __init__(self, binary: Path, *words: str):
        done = subprocess.run([str(binary), "query", *words], capture_output=True, text=True)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr


def check_csv(binary: Path, lake: Path, flags: list[str]) -> None:
    equal = 0
    for query, _, _ in CASES:
        name = query.__name__
        if name in OURS:
            continue
        words = [name, "--format", "csv", *SINCE.get(name, [])]
        local, there = Run(binary, *words, "--table", str(lake)), Run(binary, *words, *flags)
        check(local.code == there.code == 0, f"{name}: {local.err} {there.err}")
        here, other = local.out.splitlines(), there.out.splitlines()
        check(len(here) == len(other) and here[0] == other[0], f"{name}: {here[:2]} {other[:2]}")
        check(here == other or name not in PICKED, f"{name}: the csv differs")
        equal += local.out == there.out
    print(f"csv: the same lines for all, {equal} of {len(CASES) - len(OURS)} byte for byte")


def check_errors(binary: Path, flags: list[str]) -> None:
    for code, sql, told in [
        (1, "SELECT symbol,\n  clse FROM ticks", ["'CLSE' cannot be resolved", "COLUMN_NOT_FOUND", "^^^^"]),
        (1, "SELECT 1 FROM tcks", ["TABLE_NOT_FOUND", "^^^^", "--trino-schema"]),
        (1, "SELECT 1 / (kafka_offset - kafka_offset) FROM ticks", ["Division by zero"]),
        (1, "SELEC 1", ["SELEC"]),
        (2, "DROP TABLE ticks", ["only statements that read"]),
        (2, "ema", ["window function of tickhouse"]),
    ]:
        run = Run(binary, sql, *flags)
        missing = [text for text in told if text.lower() not in run.err.lower()]
        check(run.code == code and not missing, f"{sql}: exit code {run.code}, no {missing} in {run.err}")
    for words in (["--as-of", "1"], ["--register", "x=y.csv"]):
        run = Run(binary, "SELECT 1 AS x", *words, *flags)
        check(run.code == 2 and words[0] in run.err, f"{words}: exit code {run.code}, {run.err}")
    check(Run(binary, "SELECT 1 AS x", "--engine", "trino").code == 2, "no --trino-url is no error")
    check(Run(binary, *flags).code == 2, "a prompt is no error")
    plan = Run(binary, "daily_summary", "--explain", *flags)
    check(plan.code == 0 and "Fragment" in plan.out, f"--explain: {plan.out} {plan.err}")
    print("errors: told with place and exit code")


def queries() -> dict[str, dict]:
    with urllib.request.urlopen(urllib.request.Request(os.environ["TRINO_URL"] + "/v1/query", headers={"X-Trino-User": "checks"})) as answer:
        return {query["queryId"]: query for query in json.load(answer)}


def wait_for(what: str, found):
    end = time.monotonic() + 60
    while not (value := found()):
        check(time.monotonic() < end, f"{what} did not happen within 60 s")
        time.sleep(0.2)
    return value


def check_cancel(binary: Path, flags: list[str]) -> None:
    sql = "SELECT count(*) AS never FROM ticks a, ticks b, ticks c, ticks d WHERE a.close + b.close < c.close + d.close"
    process = subprocess.Popen([str(binary), "query", sql, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    running = lambda: [id for id, query in queries().items() if "never" in query["query"] and query["state"] == "RUNNING"]
    (query,) = wait_for("the query", running)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    check(process.returncode == 1 and "cancelled" in err, f"exit code {process.returncode}: {out} {err}")
    ended = wait_for("the end of the query", lambda: (told := queries()[query])["state"] == "FAILED" and told)
    check(ended["errorCode"]["name"] == "USER_CANCELED", f"the query ended by {ended['errorCode']}")
    print(f"Ctrl-C: {query} is {ended['errorCode']['name']} after {time.monotonic() - begun:.1f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ["TRINO_LAKES"]) as folder:
        lake = Path(folder)
        write_lake(lake, arrived(SERIES["walks"](), seed=11))
        engine = Trino(lake)
        check(trino(f"SELECT count(*) FROM delta.{engine.schema}.ticks") == [[2000]], "not all ticks are there")
        check_csv(args.tickhouse, lake, engine.flags)
        check_errors(args.tickhouse, engine.flags)
        check_cancel(args.tickhouse, engine.flags)
        engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
