"""The two engines: tickhouse as one process that reads statements from a pipe, DuckDB over the same Parquet files."""

from __future__ import annotations

import json
import re
import select
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path

import duckdb
from deltalake import DeltaTable

from catalog_series import TICKS

#: Printed by `.mode` behind the rows of every statement.
MARK = b"ndjson\n"
SECONDS = 60
#: An order that has nothing to do with the one of the files.
REVERSED = ("kafka_index % 3", "close DESC", "kafka_index DESC")


class Failed(Exception):
    """The engine gave an error in place of rows."""


@dataclass
class Answer:
    columns: list[str]
    rows: list[tuple]


def plain(value: object) -> object:
    """As both engines' answers are compared: instants in UTC, whole numbers as int, no NaN."""
    if isinstance(value, datetime):
        return value if value.tzinfo is None else value.astimezone(timezone.utc).replace(tzinfo=None)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        # JSON has neither NaN nor infinity: both are null there.
        return None if value != value or value in (float("inf"), float("-inf")) else value + 0.0
    return value


class Duck:
    def __init__(self, lake: Path):
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute("SET TimeZone = 'UTC'")
        table = DeltaTable(str(lake / "ticks"))
        names = ", ".join(TICKS.names)
        files = table.file_uris()
        if files:
            listed = ", ".join("'" + file.removeprefix("file://").replace("'", "''") + "'" for file in files)
            source = f"read_parquet([{listed}], hive_partitioning = true, hive_types = {{'trade_date': DATE}})"
            self.connection.execute(f"CREATE TABLE ticks AS SELECT {names} FROM {source}")
        else:
            self.connection.register("empty", TICKS.empty_table())
            self.connection.execute("CREATE TABLE ticks AS SELECT * FROM empty")

        self.connection.execute("CREATE SCHEMA reversed")
        self.connection.execute(f"CREATE TABLE reversed.ticks AS SELECT * FROM ticks ORDER BY {', '.join(REVERSED)}")

    def ask_reversed(self, sql: str) -> Answer:
        """Over the same rows in another order."""
        self.connection.execute("USE reversed")
        try:
            return self.ask(sql)
        finally:
            self.connection.execute("USE main")

    def ask_unoptimized(self, sql: str) -> Answer:
        """By the plan as the statement has it: what the optimizer does wrong is missing."""
        self.connection.execute("PRAGMA disable_optimizer")
        try:
            return self.ask(sql)
        finally:
            self.connection.execute("PRAGMA enable_optimizer")

    def ask(self, sql: str) -> Answer:
        try:
            found = self.connection.execute(sql).fetch_arrow_table()
        except duckdb.Error as error:
            raise Failed(str(error)) from error
        columns = [column.to_pylist() for column in found.columns]
        rows = list(zip(*columns)) if columns else []
        return Answer(found.schema.names, [tuple(plain(value) for value in row) for row in rows])

    def close(self) -> None:
        self.connection.close()


class Tickhouse:
    """Begins when it is asked, and again after an error, which ends a script."""

    def __init__(self, binary: Path, lake: Path):
        self.command = [str(binary), "query", "--table", str(lake), "--format", "ndjson"]
        self.process: subprocess.Popen | None = None
        self.errors = tempfile.TemporaryFile()
        self.read = b""

    def start(self) -> subprocess.Popen:
        self.errors.seek(0)
        self.errors.truncate()
        self.read = b""
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, stderr=self.errors, bufsize=0)
        return self.process

    def ask(self, sql: str) -> Answer:
        process = self.process or self.start()
        try:
            process.stdin.write(" ".join(sql.split("\n")).encode() + b";\n.mode\n")
        except BrokenPipeError:
            raise self.failed(process, "") from None
        text = self.until_mark(process)
        lines = [json.loads(line) for line in text.splitlines()]
        return Answer(list(lines[0]) if lines else [], [tuple(line.values()) for line in lines])

    def until_mark(self, process: subprocess.Popen) -> bytes:
        deadline = time.monotonic() + SECONDS
        text = b""
        while not (text == MARK or text.endswith(b"\n" + MARK)):
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            chunk = process.stdout.read(1 << 20) if ready else b""
            if not chunk:
                raise self.failed(process, "" if ready else f"no answer within {SECONDS} s")
            text += chunk
        return text[: -len(MARK)]

    def failed(self, process: subprocess.Popen, problem: str) -> Failed:
        """What a process said that ended, or was ended here."""
        if problem:
            process.kill()
        code = process.wait()
        self.process = None
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip()
        return Failed(problem or (said if code == 1 or code == 2 else f"exit code {code}: {said}"))

    def close(self) -> None:
        if self.process:
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
            self.process = None
        self.errors.close()


def times(answer: Answer, like: Answer) -> Answer:
    """Texts of instants as instants, where the other engine has instants."""
    instants = [
        any(isinstance(row[at], datetime) for row in like.rows) for at in range(len(like.rows[0]) if like.rows else 0)
    ]

    def parsed(value: object, is_instant: bool) -> object:
        if is_instant and isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value):
            return plain(datetime.fromisoformat(value))
        return plain(value)

    rows = [tuple(parsed(value, instant) for value, instant in zip(row, instants)) for row in answer.rows]
    return Answer(answer.columns, rows)
