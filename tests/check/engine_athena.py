#!/usr/bin/env python3
"""What `tickhouse query --engine athena` sends, and what it makes of the answers, against moto's server.

    "$(tests/servers/python.sh tests/check/requirements-aws.txt)" tests/check/engine_athena.py

moto runs no SQL: the rows are made up here. Exit code 0: the calls, the statement and the output are right.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import boto3

REPOSITORY = Path(__file__).resolve().parents[2]
REGION = "eu-central-1"
COLUMNS = [("symbol", "varchar"), ("ts", "timestamp with time zone"), ("close", "double"), ("trades", "bigint"), ("late", "boolean"), ("day", "date")]
ROWS = [
    ["AAPL", "2026-01-05 14:30:00.123 UTC", "277.44", "96", "true", "2026-01-05"],
    ['a,"b', "2026-01-05 14:30:01.000 UTC", "1.0E-7", None, "false", None],
]
CSV = """symbol,ts,close,trades,late,day
AAPL,2026-01-05T14:30:00.123Z,277.44,96,true,2026-01-05
"a,""b",2026-01-05T14:30:01Z,1e-7,,false,
"""


def check(condition: bool, problem: str) -> None:
    if not condition:
        sys.exit(f"engine_athena.py: {problem}")


@contextmanager
def moto():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                check(server.poll() is None and time.monotonic() < end, "moto's server did not start")
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def row(cells: list) -> dict:
    return {"Data": [{} if cell is None else {"VarCharValue": cell} for cell in cells]}


def canned(url: str) -> None:
    result = {
        "rows": [row([name for name, _ in COLUMNS]), *(row(cells) for cells in ROWS)],
        "column_info": [
            {"CatalogName": "hive", "SchemaName": "", "TableName": "", "Name": name, "Label": name, "Type": kind,
             "Precision": 3 if "timestamp" in kind else 0, "Scale": 0, "Nullable": "UNKNOWN", "CaseSensitive": False}
            for name, kind in COLUMNS
        ],
    }
    body = json.dumps({"account_id": "123456789012", "region": REGION, "results": [result]}).encode()
    request = urllib.request.Request(f"{url}/moto-api/static/athena/query-results", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        check(answer.status == 201, f"moto takes no rows: {answer.status}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    binary = str(parser.parse_args().tickhouse)
    keys = {"AWS_ACCESS_KEY_ID": "tick", "AWS_SECRET_ACCESS_KEY": "secret-of-moto"}
    with moto() as url:
        environment = {**os.environ, **keys, "AWS_ENDPOINT_URL_ATHENA": url, "AWS_REGION": REGION}

        def run(*words: str, **changed: str) -> subprocess.CompletedProcess:
            command = [binary, "query", *words, "--engine", "athena"]
            return subprocess.run(command, env=environment | changed, capture_output=True, text=True)

        canned(url)
        words = ["bars", "--symbol", "AAPL", "--param", "interval=5m", "--format", "csv"]
        done = run(*words, "--athena-database", "market", "--athena-output", "s3://results/athena")
        check(done.returncode == 0, f"exit code {done.returncode}: {done.stderr}")
        check(done.stdout == CSV, f"the csv is {done.stdout!r}")
        check("about USD" in done.stderr and "scanned" in done.stderr, f"no costs: {done.stderr!r}")

        client = boto3.client("athena", endpoint_url=url, region_name=REGION, aws_access_key_id="tick", aws_secret_access_key="x")
        (query,) = client.list_query_executions()["QueryExecutionIds"]
        sent = client.get_query_execution(QueryExecutionId=query)["QueryExecution"]
        shown = subprocess.run([binary, "query", *words[:5], "--show-sql", "--dialect", "athena"], capture_output=True, text=True)
        check(sent["Query"] == shown.stdout.strip().rstrip(";"), f"sent {sent['Query']}, shown {shown.stdout}")
        check("to_milliseconds" in sent["Query"] and "'AAPL'" in sent["Query"], "that is not the text of bars")
        check(sent["QueryExecutionContext"]["Database"] == "market", f"asked in {sent['QueryExecutionContext']}")
        check(sent["WorkGroup"] == "primary", f"asked in workgroup {sent['WorkGroup']}")
        place = sent["ResultConfiguration"]["OutputLocation"]
        check(place.startswith("s3://results/athena/"), f"results go to {place}")

        for wrong, told in [(["DROP TABLE ticks"], "only statements that read"), (["ema"], "window function of tickhouse"), ([], "one statement")]:
            done = run(*wrong)
            check(done.returncode == 2 and told in done.stderr, f"{wrong}: exit code {done.returncode}: {done.stderr}")
        done = run("SELECT 1 AS x", AWS_REGION="")
        check(done.returncode == 2 and "--s3-region" in done.stderr, f"no region: exit code {done.returncode}: {done.stderr}")
        check("secret-of-moto" not in run("SELECT 1 AS x", "--log", "trace").stderr, "the log shows a secret")
        done = run("SELECT 1 AS x", AWS_ENDPOINT_URL_ATHENA="http://127.0.0.1:1")
        check(done.returncode == 1 and "reach Athena" in done.stderr, f"exit code {done.returncode}: {done.stderr}")
    print("athena: the statement, the calls and the csv are right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
