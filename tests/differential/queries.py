"""Random statements: sources, joins, grouping, windows, set operations, subqueries, limits."""

from __future__ import annotations

import random
from dataclasses import dataclass

from expressions import COMPARED, quoted
from lakes import SYMBOLS
from tree import BY_ALL, ORDERED, Column, Items, Node, Part, Scope, node
from windows import Windows

#: Columns of ticks: name, type, whether it can be NULL. Prices and volumes have the type of the profile.
TICKS = (
    ("symbol", "text", False),
    ("ts", "ts", False),
    ("open", "price", True),
    ("high", "price", True),
    ("low", "price", True),
    ("close", "price", False),
    ("volume", "price", True),
    ("trade_id", "text", True),
    ("source", "text", True),
    ("kafka_partition", "int", False),
    ("kafka_offset", "int", False),
    ("kafka_index", "int", False),
    ("kafka_ts", "ts", True),
    ("ingested_at", "ts", False),
    ("trade_date", "date", False),
)
KEY = ("ts", "kafka_partition", "kafka_offset", "kafka_index")
#: Rows that a join may make of a lake of a hundred.
MANY = 4_000


@dataclass
class Query:
    sql: Node
    #: As the outer query sees them, without a table.
    columns: list[Column]
    unique: list[str] | None
    rows: int


@dataclass
class Statement:
    sql: Node
    ordered: bool


class Queries(Windows):
    def __init__(self, dice: random.Random, profile: str, rows: int):
        super().__init__(dice, profile)
        self.lake_rows = max(rows, 1)

    def statement(self) -> Statement:
        query = self.query(self.dice.choice([1, 2, 2, 3]))
        if self.dice.random() < 0.15:
            query = self.combined(query)
        shown = all(column.kind != "fuzzy" for column in query.columns)
        if shown and self.dice.random() < 0.4:
            limited = self.dice.random() < 0.7
            return Statement(self.limited(query, limited), True)
        return Statement(query.sql, False)

    def limited(self, query: Query, limited: bool = True) -> Node:
        """In the order of all columns."""
        dice = self.dice
        limit = f" LIMIT {dice.choice([0, 1, 1, 1, 2, 2, 3, 3, 5, 10])}" if limited else ""
        offset = f" OFFSET {dice.choice([0, 1, 3])}" if limited and dice.random() < 0.2 else ""
        if query.sql.tag == "select":
            return Node(ORDERED, (*query.sql.parts, f" ORDER BY {BY_ALL}", limit + offset))
        columns = Items(tuple(node("item", f"q.{c.sql.parts[0]} AS {c.sql.parts[0]}") for c in query.columns), 1)
        return Node(ORDERED, ("SELECT ", columns, " FROM (", query.sql, f") AS q ORDER BY {BY_ALL}", limit + offset))

    def combined(self, first: Query) -> Query:
        """A set operation with another query of the same types."""
        dice = self.dice
        kinds = [column.kind for column in first.columns]
        if "fuzzy" in kinds:
            return first
        scope, source = self.source(0)
        items = []
        for kind, column in zip(kinds, first.columns):
            items.append(node("item", self.expr(kind, scope, 1), f" AS {column.sql.parts[0]}"))
        second = node("select", "SELECT ", Items(tuple(items), len(items)), " FROM ", source, self.where(scope, 1))
        how = dice.choice([" UNION ALL ", " UNION ALL ", " UNION ", " INTERSECT ", " EXCEPT ", " INTERSECT ALL ", " EXCEPT ALL "])
        sides = (first.sql, second) if dice.random() < 0.7 else (second, first.sql)
        wrapped = lambda side: ("SELECT * FROM (", side, f") AS {self.name('s')}")
        sql = node("union", *wrapped(sides[0]), how, *wrapped(sides[1]))
        return Query(sql, first.columns, None, first.rows + self.lake_rows)

    # Sources

    def ticks(self) -> tuple[Scope, Node]:
        name = self.name("t")
        price = "exact" if self.profile == "exact" else "double"
        columns = [
            Column(node(price if kind == "price" else kind, f"{name}.{column}"), price if kind == "price" else kind, nullable, column)
            for column, kind, nullable in TICKS
        ]
        unique = [column for column in columns if column.origin in KEY]
        return Scope(columns, unique, self.lake_rows), node("source", f"ticks AS {name}")

    def derived(self, depth: int) -> tuple[Scope, Node]:
        query = self.query(depth)
        name = self.name("d")
        sql: Node = query.sql
        if self.dice.random() < 0.1 and all(column.kind != "fuzzy" for column in query.columns):
            sql = self.limited(query)
        columns = [
            Column(node(c.kind, f"{name}.{c.sql.parts[0]}"), c.kind, c.nullable, c.origin) for c in query.columns
        ]
        unique = None
        if query.unique:
            unique = [c for c in columns if c.sql.parts[0].split(".")[1] in query.unique]
        return Scope(columns, unique, query.rows), node("source", "(", sql, f") AS {name}")

    def values(self) -> tuple[Scope, Node]:
        dice, name = self.dice, self.name("v")
        rows = [(quoted(dice.choice(SYMBOLS)), str(dice.randint(0, 3))) for _ in range(dice.randint(1, 4))]
        rows.append(("NULL", str(dice.randint(4, 5))))
        items = tuple(node("row", f"({symbol}, {number})") for symbol, number in rows)
        columns = [Column(node("text", f"{name}.k"), "text"), Column(node("int", f"{name}.n"), "int", False)]
        return Scope(columns, None, len(rows)), node("source", "(VALUES ", Items(items, 1), f") AS {name}(k, n)")

    def one_source(self, depth: int) -> tuple[Scope, Node]:
        chance = self.dice.random()
        if depth > 0 and chance < 0.35:
            return self.derived(depth - 1)
        return self.values() if chance > 0.95 else self.ticks()

    def source(self, depth: int) -> tuple[Scope, Node]:
        if self.dice.random() < (0.25 if depth > 0 else 0.1):
            return self.join(depth)
        return self.one_source(depth)

    def join(self, depth: int) -> tuple[Scope, Node]:
        dice = self.dice
        (left, left_sql), (right, right_sql) = self.one_source(depth - 1), self.one_source(depth - 1)
        kinds = [kind for kind in COMPARED if self.columns(kind, left) and self.columns(kind, right)]
        if not kinds:
            return left, left_sql
        if self.dice.random() < 0.1 and "ticks AS" in left_sql.parts[0] and "ticks AS" in right_sql.parts[0]:
            return self.join_using(left, left_sql, right, right_sql)
        product = left.rows * right.rows
        conditions = []
        for kind in dice.sample(kinds, min(len(kinds), 1 if product < MANY else 2)):
            one = dice.choice(self.columns(kind, left))
            alike = [c for c in self.columns(kind, right) if c.origin == one.origin and one.origin]
            pair = (one.sql, dice.choice(alike if alike and dice.random() < 0.7 else self.columns(kind, right)).sql)
            conditions.append(node("bool", "(", pair[0], " = ", pair[1], ")"))
        if product > MANY:
            for scope in (left, right):
                if scope.rows > 60 and self.columns("int", scope):
                    conditions.append(node("bool", "(", dice.choice(self.columns("int", scope)).sql, " < 9)"))
        both = Scope(left.columns + right.columns)
        if dice.random() < 0.3:
            conditions.append(self.expr("bool", both, 1))
        how = dice.choice([" JOIN ", " LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN ", (" LEFT SEMI JOIN ", " SEMI JOIN "), (" LEFT ANTI JOIN ", " ANTI JOIN ")])
        on = Items(tuple(conditions), 1, between=" AND ")
        sql = node("join", left_sql, how, right_sql, " ON ", on)
        if isinstance(how, tuple):
            return left, sql
        fills = {" LEFT JOIN ": (False, True), " RIGHT JOIN ": (True, False), " FULL JOIN ": (True, True)}.get(how, (False, False))
        columns = [
            Column(c.sql, c.kind, c.nullable or fill, c.origin) for scope, fill in zip((left, right), fills) for c in scope.columns
        ]
        unique = None
        if left.unique and right.unique:
            keys = [c.sql for c in left.unique + right.unique]
            unique = [c for c in columns if c.sql in keys]
        return Scope(columns, unique, min(product, MANY)), sql

    def join_using(self, left: Scope, left_sql: Node, right: Scope, right_sql: Node) -> tuple[Scope, Node]:
        """The common keys have no table in front of them."""
        dice = self.dice
        how = dice.choice([" JOIN ", " LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN "])
        sql = node("join", left_sql, how, right_sql, " USING (symbol, kafka_index)")
        keys = ("symbol", "kafka_index")
        columns = [Column(node("text", "symbol"), "text"), Column(node("int", "kafka_index"), "int")]
        columns += [Column(c.sql, c.kind, True) for side in (left, right) for c in side.columns if c.origin not in keys]
        return Scope(columns, None, self.lake_rows), sql

    # Clauses

    def where(self, scope: Scope, depth: int, subqueries: bool = True) -> Items:
        dice = self.dice
        found = [self.expr("bool", scope, depth) for _ in range(dice.choice([0, 0, 0, 0, 1, 1, 2]))]
        if subqueries and dice.random() < 0.12:
            found.append(self.subquery_condition(scope))
        return Items(tuple(found), before=" WHERE ", between=" AND ")

    def correlated(self, outer: Scope) -> tuple[Scope, Node, Items]:
        """Another look at ticks, with conditions that name a column of the outer query."""
        inner, source = self.ticks()
        conditions = []
        if self.dice.random() < 0.7:
            kinds = [kind for kind in ("text", "int", "date") if self.columns(kind, outer)]
            if kinds:
                kind = self.dice.choice(kinds)
                pair = self.dice.choice(self.columns(kind, inner)).sql, self.dice.choice(self.columns(kind, outer)).sql
                conditions.append(node("bool", "(", pair[0], " = ", pair[1], ")"))
        if self.dice.random() < 0.5:
            conditions.append(self.expr("bool", inner, 1))
        return inner, source, Items(tuple(conditions), before=" WHERE ", between=" AND ")

    def subquery_condition(self, outer: Scope) -> Node:
        dice = self.dice
        inner, source, where = self.correlated(outer)
        choice = dice.randrange(5)
        if choice == 4:
            having = f" HAVING count(*) {dice.choice(['= 0', '> 1', '< 3'])}"
            return node("bool", "(EXISTS (SELECT count(*) FROM ", source, where, having, "))")
        if choice == 0:
            negated = dice.choice(["", "NOT "])
            return node("bool", f"({negated}EXISTS (SELECT 1 FROM ", source, where, "))")
        kinds = [kind for kind in COMPARED if self.columns(kind, outer) and self.columns(kind, inner)]
        if choice < 3 and kinds:
            kind = dice.choice(kinds)
            value, found = self.expr(kind, outer, 1), self.expr(kind, inner, 1)
            return node("bool", "(", value, dice.choice([" IN ", " NOT IN "]), "(SELECT ", found, " FROM ", source, where, "))")
        value = self.scalar(outer)
        return node("bool", "(", value, dice.choice([" < ", " = ", " > "]), self.literal("int"), ")")

    def scalar(self, outer: Scope) -> Node:
        """A whole number of a subquery, or none."""
        if self.dice.random() < 0.3:
            _, source = self.ticks()
            chosen = self.dice.choice([0, 1, 5, 30, 1_000])
            return node("int", "(SELECT kafka_index FROM ", source, f" WHERE kafka_index = {chosen})")
        inner, source, where = self.correlated(outer)
        call = self.dice.choice(["count(*)", "max(kafka_index)", "min(kafka_offset)", "count(volume)"])
        return node("int", f"(SELECT CAST({call} AS BIGINT) FROM ", source, where, ")")

    # Queries

    def items(self, made: list[tuple[Node, str, bool, str]]) -> tuple[Items, list[Column]]:
        columns, items = [], []
        for sql, kind, nullable, origin in made:
            name = self.name("c")
            items.append(node("item", sql, f" AS {name}"))
            columns.append(Column(node(kind, name), kind, nullable, origin))
        return Items(tuple(items), 1), columns

    def query(self, depth: int) -> Query:
        if self.dice.random() < 0.3:
            return self.grouped(depth)
        return self.plain(depth)

    def plain(self, depth: int) -> Query:
        """Columns, expressions and windows of a source."""
        dice = self.dice
        scope, source = self.source(depth)
        where = self.where(scope, 2)
        made: list[tuple[Node, str, bool, str]] = []
        keeps = bool(scope.unique) and dice.random() < 0.6
        if keeps:
            made += [(c.sql, c.kind, c.nullable, c.origin) for c in scope.unique]
            symbols = [c for c in scope.columns if c.origin == "symbol"][:1]
            made += [(c.sql, c.kind, c.nullable, c.origin) for c in symbols]
        windows = dice.random() < 0.6
        for _ in range(dice.randint(1, 3)):
            if windows and dice.random() < 0.75:
                sql, kind, nullable = self.window(scope, 2)
                made.append((sql, kind, nullable, ""))
            elif dice.random() < 0.08:
                made.append((self.scalar(scope), "int", True, ""))
            else:
                kind = dice.choice([*COMPARED, "bool", "fuzzy"])
                made.append((self.expr(kind, scope, 2), kind, True, ""))
        items, columns = self.items(made)
        qualify: tuple[Part, ...] = ()
        if scope.unique and dice.random() < 0.08:
            number = node("int", "row_number()", self.over(scope, True))
            qualify = (Items((node("bool", number, f" <= {dice.randint(1, 3)}"),), before=" QUALIFY "),)
        distinct = not keeps and all(kind != "fuzzy" for _, kind, _, _ in made) and dice.random() < 0.15
        sql = node("select", "SELECT DISTINCT " if distinct else "SELECT ", items, " FROM ", source, where, *qualify)
        unique = None
        if keeps:
            unique = [str(c.sql.parts[0]) for c in columns[: len(scope.unique)]]
        elif distinct:
            unique = [str(c.sql.parts[0]) for c in columns]
        return Query(sql, columns, unique, scope.rows)

    def grouped(self, depth: int) -> Query:
        dice = self.dice
        scope, source = self.source(depth)
        where = self.where(scope, 2)
        pool = [c for c in scope.columns if c.kind in ("text", "int", "long", "ts", "date", "bool", "exact", "double")]
        few = [c for c in pool if c.origin in ("symbol", "trade_date", "source", "kafka_partition", "trade_id")] or pool
        keys = dice.sample(few, min(len(few), dice.choice([0, 1, 1, 1, 2, 2])))
        sets = dice.choice(["", "", "", "", "", "ROLLUP(", "CUBE("]) if keys else ""
        before, after = (f" GROUP BY {sets}", ")") if sets else (" GROUP BY ", "")
        by = Items(tuple(node("by", c.sql) for c in keys), before=before, after=after)
        aggregates = [self.aggregate(scope, 2) for _ in range(dice.randint(1, 3))]
        made = [(c.sql, c.kind, c.nullable or bool(sets), c.origin) for c in keys]
        made += [(sql, kind, nullable, "") for sql, kind, nullable in aggregates]
        if sets and dice.random() < 0.5:
            made.append((node("int", "CAST(grouping(", dice.choice(keys).sql, ") AS BIGINT)"), "int", False, ""))
        groups = Scope([Column(sql, kind, nullable, origin) for sql, kind, nullable, origin in made])
        if not sets:
            groups.unique = groups.columns[: len(keys)] or None
        plain = [c for c in groups.columns if c.kind != "fuzzy"]
        if dice.random() < 0.3:
            sql, kind, nullable = self.window(Scope(plain, groups.unique, scope.rows), 1)
            made.append((sql, kind, nullable, ""))
        if dice.random() < 0.2:
            kind = dice.choice(["int", "long", "double", "text"])
            made.append((self.expr(kind, Scope(plain), 2), kind, True, ""))
        having: tuple[Part, ...] = ()
        if dice.random() < 0.25 and plain:
            having = (Items((self.expr("bool", Scope(plain), 1),), before=" HAVING "),)
        items, columns = self.items(made)
        sql = node("select", "SELECT ", items, " FROM ", source, where, by, *having)
        unique = [str(c.sql.parts[0]) for c in columns[: len(keys)]] if keys and not sets else None
        return Query(sql, columns, unique, max(1, scope.rows // 3))
