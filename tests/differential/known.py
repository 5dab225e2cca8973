"""Differences that are no news: each with its reason, in one place. What is fixed leaves this list."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    name: str
    #: In tickhouse's statement.
    statement: str
    #: In tickhouse's error; empty where the answers differ.
    error: str
    reason: str


#: Statements that tickhouse refuses with an error before they run; docs/queries.md says how to write them.
REFUSED = [
    Known(
        "IN of columns from outside",
        r" IN \(SELECT ",
        r"null_aware anti join only supports single column|NOT IN of a subquery that names columns from outside"
        r"|projections require unique expression names",
        "where a side can be NULL, or one side is cast to the type of the other: [NOT] EXISTS says it",
    ),
    Known(
        "NOT IN of a constant",
        r"NOT IN \(SELECT |NOT \(",
        r"NOT IN of a constant",
        "a subquery with a NULL makes it unknown: NOT EXISTS says it",
    ),
    Known(
        "IN inside of other conditions",
        r" IN \(SELECT ",
        r"IN of a subquery inside of OR, NOT or another expression",
        "it may be unknown, which DataFusion takes for false: EXISTS says it",
    ),
    Known(
        "EXISTS of an aggregate",
        r"EXISTS \(SELECT count",
        r"EXISTS over an aggregate without GROUP BY",
        "it loses the rows whose count is 0: (SELECT count(*) ..) = 0 says it",
    ),
    Known(
        "outer joins USING",
        r" (RIGHT|FULL) JOIN ticks AS \w+ USING ",
        r"JOIN \.\. USING",
        "the key of rows of the right side alone would be NULL: ON and coalesce say it",
    ),
    Known(
        "common columns of joins",
        r" JOIN ticks AS \w+ USING ",
        r"column '(symbol|kafka_index)' is ambiguous",
        "DataFusion doesn't know the common column everywhere: t1.symbol says which one",
    ),
    Known(
        "calls that differ in a cast",
        r"CAST\(|AT TIME ZONE",
        r"schema contains duplicate (un)?qualified field name",
        "DataFusion names sum(CAST(x AS a)) and sum(CAST(x AS b)) alike: one of them goes into a SELECT of its own",
    ),
]

#: DuckDB is wrong, with and without its optimizer.
DUCKDB = [
    Known(
        "frames that end at 0 PRECEDING",
        r"RANGE BETWEEN UNBOUNDED PRECEDING AND 0 PRECEDING",
        "",
        "over BIGINT keys 3, 3, 2, 2 the first frame of it has one row, over INTEGER keys both, as with CURRENT ROW",
    ),
]

#: Wrong answers and internal errors that wait for a fix.
OPEN: list[Known] = [
    Known(
        "sorted unions of windows over everything",
        r"OVER \(\).* UNION ALL ",
        r"does not satisfy order requirements",
        "DataFusion's own check of plans ends the query: it takes an aggregate OVER () for a constant in one side alone",
    ),
]


def known_as(sql: str, error: str | None) -> Known | None:
    """The entry that a difference belongs to."""
    for known in REFUSED + DUCKDB + OPEN:
        is_of_kind = re.search(known.error, error) if known.error and error else bool(known.error) == bool(error)
        if is_of_kind and re.search(known.statement, sql):
            return known
    return None
