"""Other engines that run the text of a named query on the Delta table of a lake."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from datetime import date, datetime, timezone
from pathlib import Path

import chdb
import duckdb
import pyarrow as pa
from chdb.session import Session
from deltalake import DeltaTable

from catalog_series import TICKS, TIME


#: As ClickHouse sees the columns of a Delta table.
TYPES = {
    pa.string(): "String",
    pa.float64(): "Float64",
    pa.int32(): "Int32",
    pa.int64(): "Int64",
    pa.date32(): "Date32",
    TIME: "DateTime64(6)",
}
COLUMNS = ", ".join(
    f"{field.name} {f'Nullable({TYPES[field.type]})' if field.nullable else TYPES[field.type]}" for field in TICKS
)


class EngineError(Exception):
    """An engine can't run the text."""


class DuckDb:
    def __init__(self, lake: Path):
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.register("ticks", DeltaTable(str(lake / "ticks")).to_pyarrow_table())

    def rows(self, sql: str) -> list[dict]:
        try:
            return self.connection.execute(sql).to_arrow_table().to_pylist()
        except duckdb.Error as error:
            raise EngineError(str(error)[:300]) from error

    def close(self) -> None:
        self.connection.close()


class ClickHouse:
    def __init__(self, lake: Path):
        self.session = Session()
        self.session.query("CREATE DATABASE IF NOT EXISTS lake ENGINE = Atomic")
        self.session.query("SET session_timezone = 'UTC'")
        ticks = DeltaTable(str(lake / "ticks")).to_pyarrow_table()  # noqa: F841, read by its name
        self.session.query(f"CREATE OR REPLACE TABLE lake.ticks ({COLUMNS}) ENGINE = Memory")
        self.session.query(f"INSERT INTO lake.ticks SELECT {', '.join(TICKS.names)} FROM Python(ticks)")
        self.session.query("USE lake")

    def rows(self, sql: str) -> list[dict]:
        try:
            return self.session.query(sql.rstrip().rstrip(";"), "ArrowTable").to_pylist()
        except (RuntimeError, chdb.ChdbError) as error:
            raise EngineError(str(error)[:300]) from error

    def close(self) -> None:
        self.session.close()


class Spark:
    def __init__(self, lake: Path):
        command = [str(Path(__file__).with_name("read_spark.sh")), str(lake), "-"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)

    def rows(self, sql: str) -> list[dict]:
        self.process.stdin.write(json.dumps(sql.rstrip().rstrip(";")) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise EngineError("Spark ended: see tests/check/read_spark.sh LAKE")
        answer = json.loads(line)
        if "error" in answer:
            raise EngineError(answer["error"][:300])
        return answer["rows"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Trino:
    """The server of TRINO_URL, which reads the folders below TRINO_LAKES, by its client protocol."""

    #: Microseconds: Trino rounds the times of Delta tables to milliseconds.
    time_step = 1_000
    HEADERS = {"X-Trino-User": "check", "X-Trino-Catalog": "delta", "X-Trino-Time-Zone": "UTC"}

    def __init__(self, lake: Path):
        if "TRINO_URL" not in os.environ or "TRINO_LAKES" not in os.environ:
            raise SystemExit("set TRINO_URL and TRINO_LAKES, as tests/servers/trino.sh prints them")
        place = lake.resolve().relative_to(Path(os.environ["TRINO_LAKES"]).resolve())
        self.schema = "check_" + "".join(c if c.isalnum() else "_" for c in str(place)).lower()
        self.rows(f"CREATE SCHEMA {self.schema}")
        self.rows(f"CALL system.register_table('{self.schema}', 'ticks', 'local:///{place}/ticks')")

    def rows(self, sql: str) -> list[dict]:
        body = sql.rstrip().rstrip(";").encode()
        headers = self.HEADERS | {"X-Trino-Schema": self.schema}
        request = urllib.request.Request(os.environ["TRINO_URL"] + "/v1/statement", body, headers)
        rows: list[dict] = []
        while True:
            try:
                with urllib.request.urlopen(request, timeout=60) as response:
                    answer = json.load(response)
            except urllib.error.HTTPError as error:
                if error.code not in (502, 503, 504):
                    raise
                time.sleep(0.1)
                continue
            if "error" in answer:
                raise EngineError(answer["error"]["message"][:300])
            for values in answer.get("data") or []:
                pairs = zip(answer["columns"], values)
                rows.append({column["name"]: told(column["type"], value) for column, value in pairs})
            if "nextUri" not in answer:
                return rows
            request = urllib.request.Request(answer["nextUri"], headers=self.HEADERS)

    def close(self) -> None:
        self.rows(f"CALL system.unregister_table('{self.schema}', 'ticks')")
        self.rows(f"DROP SCHEMA {self.schema}")


def told(kind: str, value: object) -> object:
    """A value of Trino's JSON."""
    if value is None:
        return None
    if kind.startswith("timestamp"):
        return datetime.fromisoformat(value.removesuffix(" UTC")).replace(tzinfo=timezone.utc)
    if kind == "date":
        return date.fromisoformat(value)
    return float(value) if kind == "double" else value


def folder_of_lakes(engines: list[str]) -> str | None:
    """Where a lake must be for all of them to read it; None is anywhere."""
    return os.environ.get("TRINO_LAKES") if "trino" in engines else None


ENGINES = {"duckdb": DuckDb, "clickhouse": ClickHouse, "spark": Spark, "trino": Trino}
