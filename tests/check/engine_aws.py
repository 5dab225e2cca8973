#!/usr/bin/env python3
"""`tickhouse catalog glue` and `catalog athena` against moto: what boto3 then reads back.

    engine_aws.py --table s3://bucket/lake --moto http://127.0.0.1:5000 -- --s3-endpoint URL --s3-allow-http

What follows -- goes to tickhouse. moto runs no statement of Athena: their text is compared with that of --dry-run.
Exit code 0: as it should be; 1: not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import boto3

REPOSITORY = Path(__file__).resolve().parents[2]
TYPES = {"symbol": "string", "ts": "timestamp", "close": "double", "kafka_offset": "bigint", "kafka_index": "int"}


class Catalog:
    def __init__(self, args: argparse.Namespace):
        self.binary, self.more = args.tickhouse, args.more
        urls = {f"AWS_ENDPOINT_URL_{service}": args.moto for service in ("GLUE", "ATHENA")}
        self.environment = os.environ | urls | {"AWS_REGION": "us-east-1"}

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        command = [self.binary, "catalog", *arguments, *self.more]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment)
        assert done.returncode == code, f"{arguments}: exit code {done.returncode}: {done.stderr}"
        return done.stdout, done.stderr


def glue(catalog: Catalog, table: str, moto: str) -> None:
    client = boto3.client("glue", endpoint_url=moto, region_name="us-east-1")
    requests = json.loads(catalog.run("glue", "--table", table, "--dry-run")[0])
    assert [list(request) for request in requests] == [["CreateDatabase"], ["CreateTable"], ["CreateTable"]]
    told = catalog.run("glue", "--table", table)[1]
    assert told.count("created") == 2, told
    for request in requests[1:]:
        wanted = request["CreateTable"]["TableInput"]
        found = client.get_table(DatabaseName="tickhouse", Name=wanted["Name"])["Table"]
        different = {key: (found.get(key), value) for key, value in wanted.items() if found.get(key) != value}
        assert not different, different
        assert found["Parameters"]["table_type"] == "delta" and found["TableType"] == "EXTERNAL_TABLE"
    columns = {column["Name"]: column["Type"] for column in requests[1]["CreateTable"]["TableInput"]["StorageDescriptor"]["Columns"]}
    assert columns.items() >= TYPES.items() and "trade_date" not in columns, columns

    told = catalog.run("glue", "--table", table)[1]
    assert told.count("unchanged") == 2, told
    old = json.loads(json.dumps(requests[1]["CreateTable"]["TableInput"]))
    old["StorageDescriptor"]["Columns"].pop()
    client.update_table(DatabaseName="tickhouse", TableInput=old)
    told = catalog.run("glue", "--table", table)[1]
    assert told.count("updated") == 1 and told.count("unchanged") == 1, told

    elsewhere = ["glue", "--table", table, "--location", "s3://elsewhere/lake"]
    told = catalog.run(*elsewhere, code=2)[1]
    assert "--replace" in told and "s3://elsewhere/lake" in told, told
    place = lambda: client.get_table(DatabaseName="tickhouse", Name="ticks")["Table"]["StorageDescriptor"]["Location"]
    assert place() == f"{table}/ticks/"
    catalog.run(*elsewhere, "--replace")
    assert place() == "s3://elsewhere/lake/ticks/"
    told = catalog.run("athena", "--table", table, code=2)[1]
    assert "s3://elsewhere/lake" in told and "--replace" in told, told
    catalog.run("glue", "--table", table, "--replace")
    assert place() == f"{table}/ticks/"
    catalog.run("glue", "--table", table, "--database", "other")
    assert len(client.get_tables(DatabaseName="other")["TableList"]) == 2
    told = catalog.run("glue", "--table", "/lake", code=2)[1]
    assert "Glue reads lakes on S3 only" in told, told
    print("glue: tables as asked, second run unchanged, a moved lake refused")


def athena(catalog: Catalog, table: str, moto: str) -> None:
    client = boto3.client("athena", endpoint_url=moto, region_name="us-east-1")
    arguments = ["athena", "--table", table, "--athena-output", "s3://results/x"]
    script = catalog.run(*arguments, "--dry-run")[0]
    wanted = [text for text in script.split(";\n") if text.strip()]
    for _ in range(2):
        before = set(client.list_query_executions().get("QueryExecutionIds", []))
        told = catalog.run(*arguments)[1]
        ids = [one for one in client.list_query_executions()["QueryExecutionIds"] if one not in before]
        sent = [client.get_query_execution(QueryExecutionId=one)["QueryExecution"]["Query"] for one in ids]
        assert sorted(text.strip() for text in sent) == sorted(text.strip() for text in wanted), sent
        assert "Athena has: 2 tables" in told, told
    print(f"athena: {len(wanted)} statements sent as --dry-run shows them")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True)
    parser.add_argument("--moto", required=True)
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    parser.add_argument("more", nargs="*", help="flags for tickhouse, behind --")
    args = parser.parse_args()
    catalog = Catalog(args)
    glue(catalog, args.table, args.moto)
    athena(catalog, args.table, args.moto)
    return 0


if __name__ == "__main__":
    sys.exit(main())
