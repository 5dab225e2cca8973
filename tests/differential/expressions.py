"""Random scalar expressions: of one type, over the columns of a scope, portable between the engines.

Types: `int`; `long`, whole numbers that BIGINT may not hold, which is an error in both engines; `exact` doubles, whose sums don't depend on the order; `double`, computed row by row, equal bit by bit;
`fuzzy` doubles, equal to the tolerance, which are only shown; `text`, `bool`, `ts` (an instant), `date`.
"""

from __future__ import annotations

import random

from lakes import SOURCES, SYMBOLS
from tree import Column, Items, Node, Part, Scope, node

ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Europe/London", "Pacific/Apia")
UNITS = ("second", "minute", "hour", "day", "week", "month", "year")
FIELDS = ("hour", "minute", "day", "month", "year", "doy", "week", "quarter")
INTERVALS = ("1 second", "5 minutes", "1 hour", "90 minutes", "1 day", "7 days")
INSTANTS = ("2026-01-05T00:00:00Z", "2026-01-02T12:00:00Z", "2026-01-09T23:59:59.999999Z", "2026-01-04T19:00:00-05:00")
#: What BIGINT ends at, a half of it, and what it can't hold the square of.
LARGE = (9223372036854775807, 9223372036854775807, -9223372036854775808, 4611686018427387904, 3037000500)
DATES = ("2026-01-05", "2026-01-02", "2026-01-13", "2025-12-31")
PATTERNS = ("%A%", "a%", "_", "%'%", "%0%", "", "%", "____", "%ü%", "%日%")
#: Types that a value of a type may come from.
FROM = {"long": ("long", "int"), "double": ("double", "exact"), "fuzzy": ("fuzzy", "double", "exact")}
COMPARED = ("int", "long", "exact", "double", "text", "ts", "date")


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class Expressions:
    def __init__(self, dice: random.Random, profile: str):
        self.dice = dice
        self.profile = profile
        self.made = 0

    def name(self, letter: str) -> str:
        self.made += 1
        return f"{letter}{self.made}"

    def columns(self, kind: str, scope: Scope) -> list[Column]:
        kinds = FROM.get(kind, (kind,))
        return [column for column in scope.columns if column.kind in kinds]

    def literal(self, kind: str) -> Node:
        dice = self.dice
        if kind == "null":
            return node(kind, "NULL")
        if kind == "int":
            value = dice.choice([0, 1, 2, 3, 7, -1, -2, 100])
            return node(kind, f"({value})" if value < 0 else str(value))
        if kind == "long":
            value = dice.choice(LARGE if dice.random() < 0.7 else (0, 1, 2, 7, -1, 100))
            return node(kind, f"CAST({value} AS BIGINT)")
        if kind == "exact":
            value = dice.choice([0.0, 1.0, -1.0, 0.5, 2.0, 100.0, 0.125])
            return node(kind, f"({value}e0)" if value < 0 else f"{value}e0")
        if kind in ("double", "fuzzy"):
            value = dice.choice([0.0, 1.0, 0.1, 1e16, 1e-9, 100.0, -2.5])
            return node("double", f"CAST({value!r} AS DOUBLE)")
        if kind == "text":
            return node(kind, quoted(dice.choice(SYMBOLS + SOURCES + ["", "a", "1"])))
        if kind == "bool":
            return node(kind, dice.choice(["TRUE", "FALSE"]))
        if kind == "date":
            return node(kind, f"CAST('{dice.choice(DATES)}' AS DATE)")
        return node(kind, f"CAST('{dice.choice(INSTANTS)}' AS TIMESTAMP WITH TIME ZONE)")

    def expr(self, kind: str, scope: Scope, depth: int) -> Node:
        """Of this type, or of one that it may come from."""
        columns = self.columns(kind, scope)
        if columns and (depth <= 0 or self.dice.random() < 0.35):
            return self.dice.choice(columns).sql
        if depth <= 0:
            return self.condition(scope) if kind == "bool" else self.literal(kind)
        if self.dice.random() < 0.25:
            return self.any_kind(kind, scope, depth)
        made = getattr(self, f"make_{kind}")(scope, depth - 1)
        return made or self.literal(kind)

    def condition(self, scope: Scope) -> Node:
        """A comparison that some rows are likely to pass."""
        kinds = [kind for kind in COMPARED if self.columns(kind, scope)]
        if not kinds or self.dice.random() < 0.05:
            return self.literal("bool")
        kind = self.dice.choice(kinds)
        one, other = self.dice.choice(self.columns(kind, scope)).sql, self.dice.choice(self.columns(kind, scope)).sql
        if self.dice.random() < 0.5:
            other = self.literal(kind)
        return node("bool", "(", one, self.dice.choice([" <> ", " <> ", " <= ", " >= ", " < ", " > "]), other, ")")

    def any_kind(self, kind: str, scope: Scope, depth: int) -> Node:
        """What there is of every type."""
        inner = lambda: self.expr(kind, scope, depth - 1)
        choice = self.dice.randrange(5)
        if choice == 0:
            default: tuple[Part, ...] = (" ELSE ", inner()) if self.dice.random() < 0.5 else ()
            whens = [node("when", " WHEN ", self.expr("bool", scope, depth - 1), " THEN ", inner()) for _ in range(self.dice.randint(1, 2))]
            return node(kind, "CASE", Items(tuple(whens), 1, between=""), *default, " END")
        if choice == 1:
            return node(kind, "coalesce(", inner(), ", ", inner(), ")")
        if choice == 2 and kind not in ("bool", "fuzzy"):
            return node(kind, "nullif(", inner(), ", ", inner(), ")")
        if choice == 3 and kind in COMPARED and kind != "exact":
            return node(kind, self.dice.choice(["greatest(", "least("]), inner(), ", ", inner(), ")")
        if choice == 4:
            columns = self.columns(kind, scope)
            if columns:
                return self.dice.choice(columns).sql
        return inner()

    def make_int(self, scope: Scope, depth: int) -> Node:
        dice, number = self.dice, lambda: self.expr("int", scope, depth)
        text, ts = lambda: self.expr("text", scope, depth), lambda: self.expr("ts", scope, depth)
        choice = dice.randrange(8)
        if choice < 2:
            return node("int", "(", number(), dice.choice([" + ", " - ", " * "]), self.literal("int"), ")")
        if choice == 2:
            return node("int", "abs(", number(), ")")
        if choice == 3:
            return node("int", "(", number(), " % ", dice.choice(["2", "3", "7"]), ")")
        if choice == 4:
            return node("int", "CAST(length(", text(), ") AS BIGINT)")
        if choice == 5:
            return node("int", "CAST(strpos(", text(), ", ", quoted(dice.choice(["a", "'", "日", "0", ""])), ") AS BIGINT)")
        if choice == 6:
            return node("int", f"CAST(extract({dice.choice(FIELDS)} FROM ", ts(), ") AS BIGINT)")
        zone = dice.choice(ZONES)
        return node("int", f"CAST(extract({dice.choice(FIELDS)} FROM ", ts(), f" AT TIME ZONE '{zone}') AS BIGINT)")

    def make_long(self, scope: Scope, depth: int) -> Node:
        dice, number = self.dice, lambda: self.expr("long", scope, depth)
        choice = dice.randrange(6)
        if choice < 3:
            other = self.literal("long") if dice.random() < 0.7 else number()
            return node("long", "(", number(), dice.choice([" + ", " - ", " * "]), other, ")")
        if choice == 3:
            return node("long", "abs(", number(), ")")
        if choice == 4:
            return node("long", "(-", number(), ")")
        return node("long", "(", number(), " % ", dice.choice(["2", "3", "7"]), ")")

    def make_exact(self, scope: Scope, depth: int) -> Node:
        """Few bits more than the columns have."""
        columns = [column.sql for column in self.columns("exact", scope) if column.origin]
        if not columns:
            return self.literal("exact")
        dice, column = self.dice, lambda: dice.choice(columns)
        choice = dice.randrange(5)
        if choice < 2:
            return node("exact", "(", column(), dice.choice([" + ", " - ", " * "]), column(), ")")
        if choice == 2:
            return node("exact", "(-", column(), ")")
        if choice == 3:
            return node("exact", "abs(", column(), ")")
        return node("exact", "(", column(), dice.choice([" + ", " - ", " * "]), self.literal("exact"), ")")

    def make_double(self, scope: Scope, depth: int) -> Node:
        dice, value = self.dice, lambda: self.expr("double", scope, depth)
        choice = dice.randrange(7)
        if choice < 2:
            return node("double", "(", value(), dice.choice([" + ", " - ", " * "]), value(), ")")
        if choice == 2:
            return node("double", "(", value(), " / nullif(", value(), ", 0e0))")
        if choice == 3:
            return node("double", "abs(", value(), ")")
        if choice == 4:
            return node("double", "sqrt(abs(", value(), "))")
        if choice == 5:
            return node("double", dice.choice(["floor(", "ceil("]), value(), ")")
        return node("double", "CAST(", self.expr("int", scope, depth), " AS DOUBLE)")

    def make_fuzzy(self, scope: Scope, depth: int) -> Node:
        value = lambda: self.expr("double", scope, depth)
        if self.dice.random() < 0.5:
            return node("fuzzy", "ln(abs(", value(), ") + 1e0)")
        return node("fuzzy", "(", self.expr("fuzzy", scope, depth), " * 3e0)")

    def make_text(self, scope: Scope, depth: int) -> Node:
        dice, text = self.dice, lambda: self.expr("text", scope, depth)
        choice = dice.randrange(12)
        if choice == 0:
            return node("text", dice.choice(["upper(", "lower("]), text(), ")")
        if choice == 1:
            return node("text", "(", text(), " || ", text(), ")")
        if choice == 2:
            return node("text", "concat(", text(), ", ", text(), ")")
        if choice == 3:
            return node("text", "substr(", text(), f", {dice.randint(1, 3)}, {dice.randint(0, 3)})")
        if choice == 4:
            return node("text", dice.choice(["left(", "right("]), text(), f", {dice.randint(0, 3)})")
        if choice == 5:
            return node("text", dice.choice(["trim(", "ltrim(", "rtrim("]), text(), ")")
        if choice == 6:
            return node("text", "replace(", text(), f", {quoted(dice.choice(['a', 'A', 'ü', chr(39)]))}, ", text(), ")")
        if choice == 7:
            return node("text", dice.choice(["lpad(", "rpad("]), text(), f", {dice.randint(0, 9)}, '*')")
        if choice == 8:
            return node("text", "reverse(", text(), ")")
        if choice == 9:
            return node("text", "split_part(", text(), f", {quoted(dice.choice([',', ' ', '.']))}, {dice.randint(1, 2)})")
        if choice == 10:
            return node("text", "CAST(", self.expr("int", scope, depth), " AS VARCHAR)")
        return node("text", "repeat(", text(), f", {dice.randint(0, 2)})")

    def make_ts(self, scope: Scope, depth: int) -> Node:
        dice, ts = self.dice, lambda: self.expr("ts", scope, depth)
        choice = dice.randrange(3)
        if choice == 0:
            return node("ts", f"date_trunc('{dice.choice(UNITS)}', ", ts(), ")")
        interval = f"INTERVAL '{dice.choice(INTERVALS)}'"
        if choice == 1:
            return node("ts", "(", ts(), dice.choice([" + ", " - "]), f"{interval})")
        origin = ("", ", TIMESTAMPTZ '1970-01-01T00:00:00Z'")
        return node("ts", (f"date_bin({interval}, ", f"time_bucket({interval}, "), ts(), origin, ")")

    def make_date(self, scope: Scope, depth: int) -> Node:
        ts = self.expr("ts", scope, depth)
        if self.dice.random() < 0.5:
            return node("date", "CAST(", ts, " AS DATE)")
        return node("date", "CAST(", ts, f" AT TIME ZONE '{self.dice.choice(ZONES)}' AS DATE)")

    def make_bool(self, scope: Scope, depth: int) -> Node:
        dice, inner = self.dice, lambda: self.expr("bool", scope, depth)
        kind = dice.choice(COMPARED)
        value = lambda: self.expr(kind, scope, depth)
        choice = dice.randrange(13)
        if choice < 4:
            return node("bool", "(", value(), dice.choice([" = ", " <> ", " < ", " <= ", " > ", " >= "]), value(), ")")
        if choice == 4:
            return node("bool", "(", value(), dice.choice([" IS NULL)", " IS NOT NULL)"]))
        if choice == 5:
            return node("bool", "(", value(), dice.choice([" IS DISTINCT FROM ", " IS NOT DISTINCT FROM "]), value(), ")")
        if choice == 6:
            return node("bool", "(", value(), dice.choice([" BETWEEN ", " NOT BETWEEN "]), value(), " AND ", value(), ")")
        if choice == 7:
            listed = [self.literal(kind) for _ in range(dice.randint(1, 4))]
            if dice.random() < 0.15:
                listed.append(self.literal("null"))
            return node("bool", "(", value(), dice.choice([" IN (", " NOT IN ("]), Items(tuple(listed), 1), "))")
        if choice == 8:
            text = self.expr("text", scope, depth)
            how = dice.choice([" LIKE ", " NOT LIKE ", " ILIKE "])
            return node("bool", "(", text, how, quoted(dice.choice(PATTERNS)), ")")
        if choice == 9:
            return node("bool", "(NOT ", inner(), ")")
        if choice == 10:
            tests = [" IS TRUE)", " IS NOT TRUE)", " IS FALSE)", " IS NOT FALSE)", " IS UNKNOWN)", " IS NOT UNKNOWN)"]
            mark = dice.choice(tests)
            same = mark.replace("UNKNOWN", "NULL")
            return node("bool", "(", inner(), (mark, same))
        return node("bool", "(", inner(), dice.choice([" AND ", " OR "]), inner(), ")")
