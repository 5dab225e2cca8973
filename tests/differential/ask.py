"""One statement, both engines: equal, different, or no test."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from compare import same
from engines import Answer, Duck, Failed, Tickhouse, times
from queries import Statement
from tree import DUCKDB, TICKHOUSE, render


@dataclass
class Difference:
    statement: Statement
    #: "answer", or the error without its names and numbers.
    kind: str
    tickhouse: Answer | str
    duckdb: Answer | str

    @property
    def error(self) -> str | None:
        return self.tickhouse if isinstance(self.tickhouse, str) else None

    @property
    def sql(self) -> str:
        return render(self.statement.sql, TICKHOUSE)

    @property
    def duckdb_sql(self) -> str:
        return render(self.statement.sql, DUCKDB)


def kind_of(error: str) -> str:
    """What errors of one cause have in common."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"|\b[a-z]\d+(\.\w+)?\b|[-+]?\d+(\.\d+)?", "_", error.split("\n")[0])
    return re.sub(r"\W+", " ", text)[:60]


def is_overflow(error: str) -> bool:
    """A whole number is beyond its type: DuckDB's errors of arithmetic and of casts, and ours."""
    return bool(re.search(r"Out of Range Error|value .* can't be cast because the value is out of range|\w+ overflow: "
                          r"|overflow on abs\(", error))


def is_beyond(error: str) -> bool:
    """Whether the result that our error names is beyond the limits that it names."""
    found = re.search(r"overflow: (?:the sum )?(?:(-?\d+) ([-+*]) |(- ))?(-?\d+) is not between (-?\d+) and (\d+)", error)
    if not found:
        return False
    left, operator, negated, last, least, greatest = found.groups()
    other = int(last)
    results = {"+": int(left or 0) + other, "-": int(left or 0) - other, "*": int(left or 0) * other}
    result = results[operator] if operator else -other if negated else other
    return not int(least) <= result <= int(greatest)


class Unfit(Exception):
    """DuckDB refuses the statement, or answers it by the order in which it reads or by what its optimizer does."""


@dataclass
class Pair:
    tickhouse: Tickhouse
    duck: Duck
    #: Statements that both refuse, because a whole number is beyond its type.
    overflows: int = 0

    def difference(self, statement: Statement) -> Difference | None:
        """`None` where the engines agree or nothing can be said."""
        try:
            return self.compared(statement)
        except Unfit:
            return None

    def compared(self, statement: Statement) -> Difference | None:
        duckdb_sql = render(statement.sql, DUCKDB)
        try:
            expected = self.duck.ask(duckdb_sql)
        except Failed as failed:
            if is_overflow(str(failed)):
                return self.overflow(statement, str(failed))
            raise Unfit(str(failed)) from failed
        try:
            found = times(self.tickhouse.ask(render(statement.sql, TICKHOUSE)), expected)
        except Failed as failed:
            if is_overflow(str(failed)) and self.overflows_unoptimized(duckdb_sql):
                self.overflows += 1
                return None
            if is_beyond(str(failed)):
                raise Unfit("DuckDB doesn't compute the number that is beyond its type") from failed
            return Difference(statement, kind_of(str(failed)), str(failed), expected)
        if same(found.rows, expected.rows, statement.ordered):
            return None
        if not same(self.duck.ask_reversed(duckdb_sql).rows, expected.rows, statement.ordered):
            raise Unfit("the answer depends on the order of the rows")
        if self.is_duckdbs_optimizer(duckdb_sql, found, statement.ordered):
            raise Unfit("DuckDB without its optimizer answers as tickhouse does")
        return Difference(statement, "answer", found, expected)

    def overflow(self, statement: Statement, expected: str) -> Difference | None:
        """DuckDB refuses a number, so tickhouse must."""
        try:
            found = self.tickhouse.ask(render(statement.sql, TICKHOUSE))
        except Failed as failed:
            if is_overflow(str(failed)):
                self.overflows += 1
                return None
            return Difference(statement, kind_of(str(failed)), str(failed), expected)
        if "INT32" in expected:
            raise Unfit("literals are INTEGER in DuckDB and BIGINT in tickhouse")
        duckdb_sql = render(statement.sql, DUCKDB)
        if self.is_duckdbs_optimizer(duckdb_sql, found, statement.ordered):
            raise Unfit("DuckDB without its optimizer answers as tickhouse does")
        # With wider numbers the answer is one that no number is wrapped in.
        if self.is_duckdbs_optimizer(duckdb_sql.replace(" AS BIGINT)", " AS HUGEINT)"), found, statement.ordered):
            raise Unfit("no row of the answer needs the number that DuckDB refuses")
        return Difference(statement, "overflow that is answered", found, expected)

    def overflows_unoptimized(self, duckdb_sql: str) -> bool:
        """Whether DuckDB refuses a number unless its optimizer leaves the computation out."""
        try:
            self.duck.ask_unoptimized(duckdb_sql)
        except Failed as failed:
            return is_overflow(str(failed))
        return False

    def is_duckdbs_optimizer(self, duckdb_sql: str, found: Answer, ordered: bool) -> bool:
        """Whether DuckDB contradicts itself, and is right where it does the least."""
        try:
            least = self.duck.ask_unoptimized(duckdb_sql)
            return same(times(found, least).rows, least.rows, ordered)
        except Failed:
            return False


@dataclass
class Asked:
    """What is needed to ask again."""

    binary: Path
    seed: str

    @contextmanager
    def pair(self, lake: Path) -> Iterator[Pair]:
        tickhouse, duck = Tickhouse(self.binary, lake), Duck(lake)
        try:
            yield Pair(tickhouse, duck)
        finally:
            tickhouse.close()
            duck.close()
