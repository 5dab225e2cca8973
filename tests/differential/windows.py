"""Random aggregates and window functions."""

from __future__ import annotations

from expressions import COMPARED, Expressions
from tree import DIRECTIONS, Column, Items, Node, Part, Scope, node

SPREADS = ("stddev_samp", "stddev_pop", "var_samp", "var_pop")
#: Their answer depends on the order of equal rows.
NUMBERED = ("row_number", "ntile", "lag", "lead", "first_value", "last_value", "nth_value")
RANKS = ("rank", "dense_rank", "percent_rank", "cume_dist")
ROWS, RANGE, GROUPS = "ROWS", "RANGE", "GROUPS"


class Windows(Expressions):
    def summed(self, scope: Scope, depth: int) -> Node:
        """A number whose sum is well-conditioned."""
        if self.profile == "exact":
            return self.expr("exact", scope, min(depth, 2))
        columns = [column.sql for column in self.columns("double", scope) if column.origin]
        if not columns:
            return self.expr("int", scope, depth)
        one, other = self.dice.choice(columns), self.dice.choice(columns)
        if self.profile == "plain" and self.dice.random() < 0.3:
            return node("double", "(", one, " * ", other, ")")
        return one

    def sums_as(self) -> str:
        return "double" if self.profile == "exact" else "fuzzy"

    def aggregate(self, scope: Scope, depth: int, in_window: bool = False) -> tuple[Node, str, bool]:
        """A call without OVER, its type, and whether it can be NULL."""
        dice = self.dice
        choice = dice.randrange(12)
        condition = self.expr("bool", scope, depth - 1) if dice.random() < 0.2 else None
        filtered = Items((condition,) if condition else (), before=" FILTER (WHERE ", after=")")
        distinct = "DISTINCT " if dice.random() < (0.05 if in_window else 0.15) else ""
        if choice < 2:
            return node("int", "count(*)", filtered), "int", False
        if choice == 2:
            kind = dice.choice([*COMPARED, "bool"])
            return node("int", f"count({distinct}", self.expr(kind, scope, depth - 1), ")", filtered), "int", False
        if choice < 5:
            return node("sum", f"sum({distinct}", self.summed(scope, depth - 1), ")", filtered), self.sums_as(), True
        if choice == 5:
            return node("sum", f"avg({distinct}", self.summed(scope, depth - 1), ")", filtered), self.sums_as(), True
        if choice < 8:
            kind = dice.choice(COMPARED)
            name = dice.choice(["min", "max"])
            return node(kind, f"{name}(", self.expr(kind, scope, depth - 1), ")", filtered), kind, True
        if choice == 8:
            return node("spread", f"{dice.choice(SPREADS)}(", self.summed(scope, depth - 1), ")", filtered), "fuzzy", True
        if choice == 9:
            kind = dice.choice(["int", "long", "long"])
            call = (f"sum({distinct}", self.expr(kind, scope, depth - 1), ")", filtered)
            # The sum of whole numbers is a HUGEINT in DuckDB.
            return node(kind, *call) if in_window else node(kind, "CAST(", *call, " AS BIGINT)"), kind, True
        if choice == 10:
            name = dice.choice(["bool_and", "bool_or"])
            return node("bool", f"{name}(", self.expr("bool", scope, depth - 1), ")", filtered), "bool", True
        if in_window or not scope.unique or dice.random() < 0.5:
            return node("double", "avg(CAST(", self.expr("int", scope, depth - 1), " AS DOUBLE))", filtered), "double", True
        order = ", ".join(f"{self.text(column.sql)}" for column in scope.unique)
        if dice.random() < 0.5:
            text = self.expr("text", scope, depth - 1)
            return node("text", "string_agg(", text, f", ',' ORDER BY {order})"), "text", True
        kind = dice.choice(COMPARED)
        value = self.expr(kind, scope, depth - 1)
        first = dice.random() < 0.5
        names = ("first_value(", "first(") if first else ("last_value(", "last(")
        return node(kind, names, value, f" ORDER BY {order})"), kind, True

    @staticmethod
    def text(sql: Node) -> str:
        return "".join(part for part in sql.parts if isinstance(part, str))

    def direction(self) -> str:
        return " " + self.dice.choice(DIRECTIONS)

    def total(self, unique: list[Column]) -> Node:
        """An order without ties; never made smaller."""
        ts = [column for column in unique if column.origin == "ts"]
        rest = [column for column in unique if column not in ts]
        if ts and self.dice.random() < 0.7:
            # As ticks are ordered: our own operator runs these.
            return node("total", ", ".join(self.text(column.sql) for column in ts + rest))
        mixed = self.dice.sample(unique, len(unique))
        return node("total", ", ".join(self.text(column.sql) + self.direction() for column in mixed))

    def bound(self, units: str, distance: str | None, ends: bool) -> tuple[float, str]:
        """With a place, so that no frame ends before it begins."""
        dice = self.dice
        edge = (9, "UNBOUNDED FOLLOWING") if ends else (-9, "UNBOUNDED PRECEDING")
        if units == RANGE and distance is None:
            return dice.choice([edge, (0, "CURRENT ROW")])
        steps = dice.choice([0, 1, 1, 2, 3, 5, 20])
        text = f"{steps}" if distance is None or distance == "number" else distance
        side = dice.choice(["PRECEDING", "FOLLOWING"])
        if distance not in (None, "number"):
            side = "FOLLOWING" if ends else "PRECEDING"
        # 0 PRECEDING is before CURRENT ROW, as the parsers have it.
        offset = (steps + 0.5 if side == "FOLLOWING" else -steps - 0.5, f"{text} {side}")
        return dice.choice([edge, (0, "CURRENT ROW"), offset, offset])

    def frame(self, units: str, distance: str | None) -> str:
        begins, ends = self.bound(units, distance, False), self.bound(units, distance, True)
        if begins[0] > ends[0]:
            return ""
        return f" {units} BETWEEN {begins[1]} AND {ends[1]}"

    def over(self, scope: Scope, numbered: bool) -> Node:
        """An OVER clause; `numbered` is for functions that need a total order."""
        dice = self.dice
        keys = [column for column in scope.columns if column.kind not in ("fuzzy",)]
        symbols = [column for column in keys if column.origin in ("symbol", "trade_date")]
        pool = symbols if symbols and dice.random() < 0.7 else keys
        partitions = tuple(column.sql for column in dice.sample(pool, min(len(pool), dice.choice([0, 1, 1, 1, 2]))))
        by = Items(tuple(node("by", sql) for sql in partitions), before="PARTITION BY ")
        choice = dice.randrange(5)
        if scope.unique and (numbered or choice < 2):
            units = dice.choice([ROWS, ROWS, ROWS, GROUPS, RANGE])
            order: Part = self.total(scope.unique)
            frame = self.frame(units, None) if dice.random() < 0.85 else ""
            return node("over", " OVER (", by, " ORDER BY ", order, Items((node("frame", frame),) if frame else ()), ")")
        if choice == 2 or not keys:
            return node("over", " OVER (", by, ")")
        ranged = [column for column in keys if column.kind in ("int", "ts", "exact")]
        if ranged and choice == 3:
            column = dice.choice(ranged)
            distance = f"INTERVAL '{dice.choice(['1 second', '5 minutes', '1 day', '0 seconds'])}'" if column.kind == "ts" else "number"
            frame = self.frame(RANGE, distance)
            return node("over", " OVER (", by, " ORDER BY ", column.sql, self.direction(), Items((node("frame", frame),) if frame else ()), ")")
        units = dice.choice([RANGE, GROUPS])
        orders = tuple(node("order", column.sql, self.direction()) for column in dice.sample(keys, min(len(keys), dice.randint(1, 2))))
        frame = self.frame(units, None) if dice.random() < 0.7 else ""
        return node("over", " OVER (", by, " ORDER BY ", Items(orders, 1), Items((node("frame", frame),) if frame else ()), ")")

    def window(self, scope: Scope, depth: int) -> tuple[Node, str, bool]:
        """A window function with its OVER, its type, and whether it can be NULL."""
        dice = self.dice
        if scope.unique and dice.random() < 0.4:
            name = dice.choice(NUMBERED)
            over = self.over(scope, True)
            if name == "row_number":
                return node("int", "row_number()", over), "int", False
            if name == "ntile":
                return node("int", f"ntile({dice.randint(1, 5)})", over), "int", False
            kind = dice.choice(COMPARED)
            value = self.expr(kind, scope, depth - 1)
            more = ""
            if name in ("lag", "lead"):
                more = dice.choice(["", "", f", {dice.randint(0, 4)}"])
                if more and dice.random() < 0.3:
                    # DuckDB casts the default to the type of the values, which may be INTEGER.
                    more += f", {self.text(self.literal('int' if kind == 'long' else kind))}"
            if name == "nth_value":
                more = f", {dice.randint(1, 4)}"
            if dice.random() < 0.2:
                return node(kind, f"{name}(", value, (f"{more}) IGNORE NULLS", f"{more} IGNORE NULLS)"), over), kind, True
            return node(kind, f"{name}(", value, f"{more})", over), kind, True
        if dice.random() < 0.2:
            name = dice.choice(RANKS)
            kind = "int" if name in ("rank", "dense_rank") else "double"
            return node(kind, f"{name}()", self.over(scope, False)), kind, False
        call, kind, nullable = self.aggregate(scope, depth, in_window=True)
        over = self.over(scope, False)
        if call.tag == kind and kind in ("int", "long") and nullable:
            return node(kind, "CAST(", call, over, " AS BIGINT)"), kind, nullable
        return node(call.tag, call, over), kind, nullable
