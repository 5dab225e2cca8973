"""Other engines that run the text of a named query on the Delta table of a lake."""

from __future__ import annotations

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


ENGINES = {"duckdb": DuckDb, "clickhouse": ClickHouse}
