"""Whether two answers hold the same rows."""

from __future__ import annotations

from collections import Counter

TOLERANCE = 1e-9
#: A variance of equal values may be this instead of 0.
TINY = 1e-20
#: Rows of one group that are paired with each other one by one.
PAIRED = 2_000

Row = tuple


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def close(a: object, b: object) -> bool:
    if is_number(a) and is_number(b):
        return a == b or abs(a - b) <= max(TOLERANCE * max(abs(a), abs(b)), TINY)
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def equal(a: Row, b: Row) -> bool:
    return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b))


def shape(row: Row) -> tuple:
    """What two equal rows have in common bit by bit: all that is no double."""
    return tuple(("number",) if is_number(value) else (type(value).__name__, value) for value in row)


def numbers(row: Row) -> tuple:
    return tuple(value for value in row if is_number(value))


def only(a: list[Row], b: list[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of each side that have no partner on the other one."""
    exact = Counter(a) & Counter(b)
    left, right = list((Counter(a) - exact).elements()), list((Counter(b) - exact).elements())
    groups: dict[tuple, list[Row]] = {}
    for row in sorted(right, key=numbers):
        groups.setdefault(shape(row), []).append(row)
    alone = []
    for row in sorted(left, key=numbers):
        group = groups.get(shape(row), [])
        partner = next((at for at, other in enumerate(group[:PAIRED]) if equal(row, other)), None)
        if partner is None:
            alone.append(row)
        else:
            group.pop(partner)
    return alone, [row for group in groups.values() for row in group]


def same(a: list[Row], b: list[Row], ordered: bool) -> bool:
    if len(a) != len(b):
        return False
    if ordered:
        return all(equal(x, y) for x, y in zip(a, b))
    left, right = only(a, b)
    return not left and not right
