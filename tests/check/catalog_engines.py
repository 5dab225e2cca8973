"""Other engines that run the text of a named query on the Delta table of a lake."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
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


class Engine:
    #: As `--dialect` has it.
    dialect = ""
    #: Microseconds that it tells apart.
    time_step = 1

    def named(self, tickhouse, name: str, params: dict) -> list[dict]:
        """The answer of a named query, whose text comes from tickhouse."""
        return self.rows(tickhouse.sql(name, params, self.dialect))


class DuckDb(Engine):
    dialect = "duckdb"

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


class ClickHouse(Engine):
    dialect = "clickhouse"

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


class Spark(Engine):
    dialect = "spark"

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


class Trino(Engine):
    """A server of trino.sh, asked by `tickhouse query --engine trino`. The lake is a folder below TRINO_LAKES."""

    dialect = "trino"
    #: Trino rounds the times of Delta tables to milliseconds.
    time_step = 1_000

    def __init__(self, lake: Path):
        if "TRINO_URL" not in os.environ or "TRINO_LAKES" not in os.environ:
            raise SystemExit("set TRINO_URL and TRINO_LAKES, as tests/servers/trino.sh prints them")
        place = lake.resolve().relative_to(Path(os.environ["TRINO_LAKES"]).resolve())
        self.schema = re.sub(r"\W", "_", str(place).lower())
        self.flags = ["--engine", "trino", "--trino-url", os.environ["TRINO_URL"], "--trino-schema", self.schema]
        trino(f"CREATE SCHEMA IF NOT EXISTS delta.{self.schema}")
        for table in ("ticks", "dead_letters"):
            trino(f"CALL delta.system.register_table('{self.schema}', '{table}', 'local:///{place}/{table}')")

    def named(self, tickhouse, name: str, params: dict) -> list[dict]:
        return tickhouse.rows(name, params, self.flags)

    def close(self) -> None:
        for table in ("ticks", "dead_letters"):
            trino(f"CALL delta.system.unregister_table('{self.schema}', '{table}')")
        trino(f"DROP SCHEMA delta.{self.schema}")


def trino(sql: str) -> list[list]:
    """Rows of a statement, by nothing but Trino's protocol."""
    headers = {"X-Trino-User": "checks"}
    request = urllib.request.Request(os.environ["TRINO_URL"] + "/v1/statement", sql.encode(), headers)
    rows = []
    while request:
        with urllib.request.urlopen(request) as answer:
            page = json.load(answer)
        if "error" in page:
            raise EngineError(page["error"]["message"])
        rows += page.get("data", [])
        request = page.get("nextUri")
    return rows


def folder_of_lakes(engines: list[str]) -> str | None:
    """Where a lake must be for all of them to read it; None is anywhere."""
    return os.environ.get("TRINO_LAKES") if "trino" in engines else None


ENGINES = {"duckdb": DuckDb, "clickhouse": ClickHouse, "spark": Spark, "trino": Trino}
