"""A part of a page that a script writes: what stands between <!-- NAME --> and <!-- end of NAME -->."""

from __future__ import annotations

from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs"


def write_part(page: str, name: str, text: str) -> None:
    path, begin, end = PAGES / page, f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    whole = path.read_text()
    before, rest = whole.split(begin)
    after = rest.split(end)[1]
    path.write_text(f"{before}{begin}\n{text.strip()}\n\n{end}{after}")
