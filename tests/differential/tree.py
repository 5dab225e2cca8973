"""Statements as trees of text, so that they can be written in two dialects and made smaller."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterator, Union

#: The same expression where the two engines write it differently: tickhouse's text, DuckDB's text.
Either = tuple[str, str]
Part = Union[str, Either, "Node", "Items"]
TICKHOUSE, DUCKDB = 0, 1

#: In the text of a node with this tag, BY_ALL stands for all columns of its first list, so that the order stays total
#: whatever is dropped.
ORDERED, BY_ALL = "ordered", "\0"
DIRECTIONS = ("ASC NULLS LAST", "DESC NULLS LAST", "DESC NULLS FIRST", "ASC NULLS FIRST")

#: What a scalar of each type may be replaced with when a statement is made smaller.
LITERALS = {
    "int": "1",
    "long": "1",
    "exact": "1e0",
    "double": "1e0",
    "text": "'a'",
    "bool": "TRUE",
}


@dataclass(frozen=True)
class Node:
    """A piece of SQL; nodes of one tag can stand for each other."""

    tag: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Items:
    """A list that may lose items, down to `least`; `before` and `after` are written only around at least one."""

    items: tuple[Node, ...]
    least: int = 0
    before: str = ""
    between: str = ", "
    after: str = ""


def node(tag: str, *parts: Part) -> Node:
    return Node(tag, parts)


def render(part: Part, dialect: int) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, tuple):
        return part[dialect]
    if isinstance(part, Node):
        text = "".join(render(one, dialect) for one in part.parts)
        return text.replace(BY_ALL, by_all(part, dialect)) if part.tag == ORDERED else text
    if not part.items:
        return ""
    return part.before + part.between.join(render(one, dialect) for one in part.items) + part.after


def by_all(part: Node, dialect: int) -> str:
    lists = (one for one in part.parts if isinstance(one, Items) and one.least == 1)
    columns = [render(item, dialect).rsplit(" AS ", 1)[1] for item in next(lists).items]
    return ", ".join(f"{name} {DIRECTIONS[sum(map(ord, name)) % len(DIRECTIONS)]}" for name in columns)


def size(part: Part) -> int:
    return len(render(part, TICKHOUSE))


def below(part: Part) -> Iterator[Node]:
    """All nodes inside of a part, the larger ones first."""
    children = part.parts if isinstance(part, Node) else part.items if isinstance(part, Items) else ()
    for child in children:
        if isinstance(child, Node):
            yield child
        yield from below(child)


def smaller(part: Part) -> Iterator[Part]:
    """Everything that one step makes of a part: an item less, a node in the place of one that holds it, a literal."""
    if isinstance(part, Node):
        for inner in below(part):
            if inner.tag == part.tag and inner.parts != part.parts:
                yield inner
        if part.tag in LITERALS and part.parts != (LITERALS[part.tag],):
            yield Node(part.tag, (LITERALS[part.tag],))
        for at, child in enumerate(part.parts):
            if isinstance(child, (Node, Items)):
                for less in smaller(child):
                    yield Node(part.tag, part.parts[:at] + (less,) + part.parts[at + 1 :])
    elif isinstance(part, Items):
        for at in range(len(part.items)):
            if len(part.items) > part.least:
                yield Items(part.items[:at] + part.items[at + 1 :], part.least, part.before, part.between, part.after)
        for at, child in enumerate(part.items):
            for less in smaller(child):
                items = part.items[:at] + (less,) + part.items[at + 1 :]
                yield Items(items, part.least, part.before, part.between, part.after)


@dataclass
class Column:
    """What a FROM clause or a SELECT offers: an expression, its type, and whether it can be NULL."""

    sql: Node
    kind: str
    nullable: bool = True
    #: Set on the columns of ticks that are passed on as they are.
    origin: str = ""


@dataclass
class Scope:
    columns: list[Column]
    #: Columns that no two rows share; `None` where rows may be equal.
    unique: list[Column] | None = None
    #: Rows about, so that joins stay small.
    rows: int = 0
    names: set[str] = field(default_factory=set)
