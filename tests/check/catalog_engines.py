"""Other engines that run the text of a named query on the Parquet files of a lake."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path

import chdb
import duckdb
from deltalake import DeltaTable

BIN = re.compile(r"CAST\(DATE_BIN\((.*?), ts, TIMESTAMP '2000-01-03 00:00:00\+00:00'\) AS TIMESTAMP\(6\) WITH TIME ZONE\)")


class DuckDb:
    def __init__(self, lake: Path):
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        ticks = DeltaTable(str(lake / "ticks")).to_pyarrow_table()
        self.connection.register("ticks", ticks)

    def rows(self, sql: str) -> list[dict]:
        sql = BIN.sub(r"time_bucket(\1, ts, TIMESTAMPTZ '2000-01-03 00:00:00+00:00')", sql)
        answer = self.connection.execute(sql)
        names = [column[0] for column in answer.description]
        return [dict(zip(names, row)) for row in answer.fetchall()]


ENGINES = {"duckdb": DuckDb}
