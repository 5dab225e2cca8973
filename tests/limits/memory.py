"""The memory of a process, where messages, dead letters and rows are large: each scenario runs in a cgroup of 768 MiB.

`ingest` has a limit of 512 MiB by default (`ingest.memory`), and its resident memory has to stay below it. Where no
cgroup can be made (it takes root), the resident memory alone is checked. `--sample` makes each scenario smaller: CI.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limits import Ground

MIB = 1 << 20
CONTAINER = 768 * MIB
LIMIT = 512 * MIB
# Below the limit of 1,000,000 bytes that producers have by default.
LARGE = 980_000
ROOTS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))


@contextmanager
def container(size: int = CONTAINER) -> Iterator[Path | None]:
    """A cgroup of that size, of version 1 or 2; `None` where there can be none."""
    for root, limit in zip(ROOTS, ("memory.limit_in_bytes", "memory.max")):
        group = root / f"tickhouse-{os.getpid()}-{time.monotonic_ns()}"
        try:
            group.mkdir()
            (group / limit).write_text(str(size))
        except OSError:
            if group.is_dir():
                group.rmdir()
            continue
        try:
            yield group
        finally:
            group.rmdir()
        return
    yield None


def within(ground: Ground, *words: str, expect_rss: int = LIMIT) -> float:
    """Runs a command in a container; returns its resident memory at most."""
    with container() as group:
        done = ground.run(*words, group=group)
    ground.expect(done.rss < expect_rss, f"{done.rss // MIB} MiB resident: tickhouse {' '.join(words)}")
    return done.rss


def ingest(ground: Ground, topic: str, table: Path, *words: str) -> float:
    base = ["ingest", "--brokers", ground.brokers, "--topic", topic, "--table", str(table), "--until-latest"]
    return within(ground, *base, *words)


def figure(size: float) -> str:
    return f"{size / MIB:,.0f} MiB resident at most"


def random_text(size: int) -> str:
    """Doesn't compress by more than a quarter."""
    return base64.b64encode(os.urandom(size * 3 // 4)).decode()


def tick(at: int, note: str, *, day: date = date(2026, 1, 5), close: str = '"close":1.5,') -> str:
    ts = f"{day}T15:{at // 60 % 60:02}:{at % 60:02}.{at % 1_000:03}Z"
    return f'{{"symbol":"S{at % 50}","ts":"{ts}",{close}"note":"{note}"}}\n'


def unpack(ground: Ground, folder: Path) -> None:
    """Messages that a broker takes, since they compress to a thousandth and less, and that unpack to gigabytes."""
    figures = []
    sizes = [(12, 20, 3 if ground.sample else 10, "zstd"), (1, 100, 10, "gzip"), (1, 100, 10, "zstd")]
    for mib, lines, repeats, codec in sizes[: 1 if ground.sample else 3]:
        topic, file, table = f"unpack-{mib}-{codec}", folder / "lines.jsonl", folder / f"lake-{mib}-{codec}"
        with file.open("w") as out:
            for at in range(lines):
                out.write(tick(at, "x" * (mib * MIB - 400)) + 2 * tick(at, "small"))
        one_by_one = ["-X", f"compression.type={codec}", "-X", "batch.num.messages=1", "-X", "message.max.bytes=900000000"]
        for _ in range(repeats):
            ground.produce("replay", topic, "--partitions", "1", *one_by_one, str(file))
        rss = ingest(ground, topic, table)
        dead = ground.query(table, "SELECT count(*) AS n FROM dead_letters").out.split()[-1]
        held, _ = ground.verify(table)
        count = lines * repeats
        ground.expect(held + int(dead) == 3 * count, f"{held} rows and {dead} dead letters of {count} messages")
        figures.append(f"{count} messages of {mib} MiB by {codec}: {figure(rss)}")
    ground.tell("unpack", "messages of a thousandth of their size on the wire", "; ".join(figures))


def dead_letters(ground: Ground, folder: Path) -> None:
    """A worker ends between the commits of dead letters and of ticks; the dead letters have gigabytes."""
    topic, file, table = "dead-letters", folder / "lines.jsonl", folder / "lake"
    lines, repeats = (100, 2) if ground.sample else (250, 8)
    with file.open("w") as out:
        for at in range(lines):
            # Most messages are ticks: a topic of dead letters alone is a wrong mapping.
            out.write(tick(at, random_text(LARGE), close="") + 2 * tick(at, "small"))
    for _ in range(repeats):
        ground.produce("replay", topic, "--partitions", "2", "-X", "compression.type=none", str(file))
    peaks = [ingest(ground, topic, table)]
    merged = within(ground, "maintain", "--table", str(table), "--settled-after", "0s")
    # The next commit of ticks finds a folder in its place.
    log = table / "ticks" / "_delta_log"
    newest = max(int(path.stem) for path in log.glob("[0-9]*.json"))
    obstacle = log / f"{newest + 1:020}.json"
    obstacle.mkdir()
    ground.produce("replay", topic, "-X", "compression.type=none", str(file))
    base = ["ingest", "--brokers", ground.brokers, "--topic", topic, "--table", str(table), "--until-latest"]
    before = commits(table)
    ground.run(*base, code=None, killed_when=lambda: commits(table) > before)
    obstacle.rmdir()
    ground.expect(commits(table) > before, "no dead letters were committed without their ticks")
    peaks.append(ingest(ground, topic, table))
    ground.verify(table)
    size = sum(path.stat().st_size for path in (table / "dead_letters").glob("dead_date=*/*.parquet"))
    told = f"ingest {figure(max(peaks))}; `tickhouse maintain` {figure(merged)}"
    ground.tell("dead-letters", f"{size / 1e9:.1f} GB of dead letters, and an end between two commits", told)


def commits(table: Path) -> int:
    return len(list((table / "dead_letters" / "_delta_log").glob("[0-9]*.json")))


def wide(ground: Ground, folder: Path) -> None:
    """Rows of 16 KB, with compaction inside ingest, and `tickhouse maintain` of what another ingest left."""
    topic, file, settings = "wide", folder / "lines.jsonl", folder / "settings.toml"
    settings.write_text('[columns.note]\npath = "/note"\ntype = "string"\n')
    lines, repeats = (3_200, 8) if ground.sample else (6_400, 16)
    with file.open("w") as out:
        for at in range(lines):
            out.write(tick(at, random_text(16_000)))
    for _ in range(repeats):
        ground.produce("replay", topic, "--partitions", "1", str(file))
    config, often = ["--config", str(settings)], folder / "often.toml"
    often.write_text('[ingest]\nflush_bytes = "8MiB"\n' + settings.read_text())
    small, large = folder / "small", folder / "large"
    # More than 32 commits: compaction runs inside ingest.
    peaks = [ingest(ground, topic, small, "--config", str(often))]
    peaks.append(ingest(ground, topic, large, *config, "--maintain", "off"))
    merged = max(within(ground, "maintain", "--table", str(table), "--settled-after", "0s") for table in (large, small))
    checked = within(ground, "verify", "--table", str(large))
    for table in (small, large):
        held, files = ground.verify(table)
        ground.expect(held == lines * repeats, f"{held} rows of {lines * repeats}")
    told = f"ingest {figure(max(peaks))}; `tickhouse maintain` {figure(merged)}, {files} files after it; `verify` {figure(checked)}"
    ground.tell("wide", f"{lines * repeats:,} rows of 16 KB, compacted", told)


def partitions(ground: Ground, folder: Path) -> None:
    """200 partitions, 64 dates in a flush, messages of 1 MiB and rows as large."""
    topic, file, settings, table = "partitions", folder / "lines.jsonl", folder / "settings.toml", folder / "lake"
    settings.write_text('[columns.note]\npath = "/note"\ntype = "string"\n')
    lines, repeats = (200, 1) if ground.sample else (400, 4)
    with file.open("w") as out:
        for at in range(lines):
            day = date(2026, 1, 5) - timedelta(days=at % 64)
            out.write(tick(at, random_text(LARGE), day=day))
    for codec in ["none", "zstd"]:
        for _ in range(repeats):
            ground.produce("replay", topic, "--partitions", "200", "-X", f"compression.type={codec}", str(file))
    rss = ingest(ground, topic, table, "--config", str(settings))
    merged = within(ground, "maintain", "--table", str(table), "--settled-after", "0s")
    held, _ = ground.verify(table)
    count = lines * repeats * 2
    ground.expect(held == count, f"{held} rows of {count}")
    told = f"ingest {figure(rss)}; `tickhouse maintain` {figure(merged)}"
    ground.tell("partitions", f"{count} messages of 1 MiB in 200 partitions, 64 dates", told)


SCENARIOS = {"unpack": unpack, "dead-letters": dead_letters, "wide": wide, "partitions": partitions}
