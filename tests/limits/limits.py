"""Sizes and circumstances at the edge, each on a lake of its own, with its figures; nothing may be lost in any of them.

    tests/limits/run                         all of them, about 25 minutes on two cores
    tests/limits/run backlog dates           some of them
    tests/limits/run memory --sample         those of memory.py, smaller: a minute
    tests/limits/run --list                  names them

Kafka is started unless --brokers is given. `read-only` and `clock` need what they say they need (root, a C compiler).
Prints a table in Markdown; after each scenario `tickhouse verify` must find nothing. Exit code 0: every expectation
held; 1: one did not, and its folder is kept; 2: usage.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "check"), str(HERE.parent / "faults")]
import disk  # noqa: E402
import memory  # noqa: E402
from servers import REPOSITORY, Servers, unwind_on_sigterm  # noqa: E402
from worker import Launcher  # noqa: E402

MIB = 1 << 20
COUNT = re.compile(r"ticks version \d+: ([\d,]+) rows in ([\d,]+) files")


class Unexpected(Exception):
    """What was not as it had to be."""


def expect(holds: bool, told: str) -> None:
    if not holds:
        raise Unexpected(told)


@dataclass
class Ended:
    code: int
    seconds: float
    rss: int
    out: str
    err: str


@dataclass
class Ground:
    binary: Path
    brokers: str
    folder: Path
    sample: bool = False
    made: int = 0
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    expect: Callable[[bool, str], None] = staticmethod(expect)

    def run(
        self,
        *words: str,
        environment: dict[str, str] | None = None,
        code: int | None = 0,
        group: Path | None = None,
        killed_when: Callable[[], bool] | None = None,
    ) -> Ended:
        """A command to its end; `code` None takes any. Runs in the cgroup `group`."""
        self.made += 1
        command = [str(self.binary), *words]
        if group is not None:
            command = ["sh", "-c", f"echo $$ > {group}/cgroup.procs && exec \"$@\"", "sh", *command]
        out, err = self.folder / f"{self.made:03}.out", self.folder / f"{self.made:03}.err"
        begun = time.monotonic()
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=os.environ | (environment or {}),
            )
            try:
                if killed_when is not None:
                    kill_when(process, killed_when)
                _, status, used = os.wait4(process.pid, 0)
            except BaseException:
                process.kill()
                process.wait()
                raise
        ended = Ended(
            os.waitstatus_to_exitcode(status),
            time.monotonic() - begun,
            used.ru_maxrss * 1024,
            out.read_text(errors="replace"),
            err.read_text(errors="replace"),
        )
        if code is not None:
            expect(ended.code == code, f"exit {ended.code}, not {code}: tickhouse {' '.join(words)}: {ended.err[-2000:]}")
        return ended

    def produce(self, kind: str, topic: str, *words: str) -> None:
        self.run("produce", kind, "--brokers", self.brokers, "--topic", topic, *words)

    def ingest(self, topic: str, table: Path, *words: str, **more: object) -> Ended:
        base = ["ingest", "--brokers", self.brokers, "--topic", topic, "--table", str(table), "--until-latest"]
        return self.run(*base, *words, **more)

    def verify(self, table: Path) -> tuple[int, int]:
        """Rows and files of ticks; the table must be healthy."""
        done = self.run("verify", "--table", str(table))
        found = COUNT.search(done.err)
        expect(found is not None, f"verify does not count: {done.err[-500:]}")
        rows, files = (int(text.replace(",", "")) for text in found.groups())
        return rows, files

    def query(self, table: Path, sql: str) -> Ended:
        return self.run("query", "--table", str(table), "--format", "csv", sql)

    def tell(self, name: str, what: str, figures: str) -> None:
        self.rows.append((name, what, figures))
        print(f"| `{name}` | {what} | {figures} |", flush=True)


def kill_when(process: subprocess.Popen, holds: Callable[[], bool]) -> None:
    """As SIGKILL does; after two minutes in any case."""
    end = time.monotonic() + 120
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    process.kill()


def mib(size: float) -> str:
    return f"{size / MIB:,.0f} MiB"


def backlog(ground: Ground, folder: Path) -> None:
    """2 GB of messages wait, the memory limit is the default of 512 MiB."""
    topic, table = "backlog", folder / "lake"
    target, rows = 2_000_000_000, 1_000_000
    ground.produce("simulate", topic, "--partitions", "4", "--rate", "0", "--count", str(rows))
    size = topic_bytes(ground, topic)
    more = max(int(rows * target / size) - rows, 0)
    ground.produce("simulate", topic, "--rate", "0", "--count", str(more), "--seed", "2")
    size, rows = topic_bytes(ground, topic), rows + more
    done = ground.ingest(topic, table)
    held, files = ground.verify(table)
    expect(held == rows, f"{held} rows of {rows} messages")
    limit = 512 * MIB
    expect(done.rss < limit, f"{mib(done.rss)} resident")
    figures = f"{done.seconds:.1f} s, {rows / done.seconds:,.0f} rows/s, {mib(done.rss)} resident at most, {files} files"
    ground.tell("backlog", f"{size / 1e9:.2f} GB in {rows:,} messages, `--memory-limit` of 512 MiB", figures)


def topic_bytes(ground: Ground, topic: str) -> int:
    """Of the payloads."""
    done = ground.run("consume-only", "--brokers", ground.brokers, "--topic", topic)
    found = re.search(r", (\d+) bytes", done.out)
    expect(found is not None, f"consume-only tells no size: {done.out}")
    return int(found[1])


def symbols(ground: Ground, folder: Path) -> None:
    """10,000 symbols in a batch."""
    topic, table, rows = "symbols", folder / "lake", 1_000_000
    simulated = ["--partitions", "4", "--rate", "0", "--symbols", "10000", "--count", str(rows)]
    ground.produce("simulate", topic, *simulated)
    done = ground.ingest(topic, table)
    held, files = ground.verify(table)
    expect(held == rows, f"{held} rows of {rows} messages")
    asked = ground.query(table, "SELECT count(DISTINCT symbol) AS n FROM ticks")
    expect(asked.out == "n\n10000\n", f"symbols: {asked.out}")
    one = ground.run("query", "--table", str(table), "--format", "csv", "--symbol", "NONE", "SELECT count(*) AS n FROM ticks")
    expect(one.out == "n\n0\n", f"a symbol that isn't there: {one.out}")
    figures = f"{rows / done.seconds:,.0f} rows/s, {mib(done.rss)} resident at most, {files} files"
    ground.tell("symbols", f"10,000 symbols in a batch of {rows:,} rows", figures)


DATES = 13_000
# Times before 1990 are dead letters.
OLDEST = date(1990, 1, 2)


def dates(ground: Ground, folder: Path) -> None:
    """13,000 trade dates in no order; then again until there are 50,000 files."""
    topic, table, passes = "dates", folder / "lake", 4
    lines = folder / "dates.jsonl"
    flags = ["--market-zone", "UTC", "--maintain", "checkpoint"]
    first = None
    for number in range(passes):
        with lines.open("w") as out:
            for at in range(DATES):
                # A step that has no divisor in common with the count: all dates, far apart from one another.
                day = OLDEST + timedelta(days=at * 4_057 % DATES)
                out.write(f'{{"symbol":"S{at % 40}","ts":"{day}T15:{number:02}:{at % 60:02}Z","close":{at % 90 + 1}}}\n')
        ground.produce("replay", topic, "--partitions", "1", str(lines))
        done = ground.ingest(topic, table, *flags)
        first = first or done
    held, files = ground.verify(table)
    expect(held == passes * DATES, f"{held} rows of {passes * DATES} messages")
    folders = sum(1 for path in (table / "ticks").iterdir() if path.name.startswith("trade_date="))
    expect(folders == DATES, f"{folders} dates")
    figures = f"{first.seconds:.1f} s, {mib(first.rss)} resident at most; the fourth time {done.seconds:.1f} s, {mib(done.rss)}"
    ground.tell("dates", f"{DATES:,} trade dates in no order", figures)
    many_files(ground, table, files, topic, flags)


def many_files(ground: Ground, table: Path, files: int, topic: str, flags: list[str]) -> None:
    expect(files >= 50_000, f"{files} files")
    start = ground.ingest(topic, table, *flags)
    count = ground.query(table, "SELECT count(*) AS n FROM ticks")
    one = ground.query(table, "SELECT count(*) AS n FROM ticks WHERE trade_date = DATE '1999-12-31'")
    expect(one.out == "n\n4\n", f"a date: {one.out}")
    figures = (
        f"a start that finds nothing new {start.seconds:.1f} s, {mib(start.rss)}; "
        f"`count(*)` {count.seconds:.1f} s, {mib(count.rss)}; one date {one.seconds:.1f} s"
    )
    ground.tell("files", f"{files:,} files", figures)
    small = ground.run("maintain", "--table", str(table), "--settled-after", "0s", "--format", "json")
    held, after = ground.verify(table)
    expect((held, after) == (4 * DATES, DATES), f"{held} rows in {after} files after maintenance")
    figures = f"{small.seconds:.0f} s, {mib(small.rss)} resident at most, {after:,} files after it"
    ground.tell("maintain", f"`tickhouse maintain` of {files:,} files", figures)
    count = ground.query(table, "SELECT count(*) AS n FROM ticks")
    ground.tell("files-after", "the same `count(*)`", f"{count.seconds:.1f} s, {mib(count.rss)}")


def messages(ground: Ground, folder: Path) -> None:
    """Messages of nearly 1 MiB, which brokers take by default, and some that the limit of ingest rejects."""
    topic, table, count = "messages", folder / "lake", 400
    lines = folder / "large.jsonl"
    with lines.open("w") as out:
        for at in range(count):
            # Every tenth is beyond --max-message-bytes.
            size = 1_048_000 if at % 10 else 1_048_400
            head = f'{{"symbol":"S{at % 7}","ts":"2026-01-05T15:00:{at % 60:02}Z","close":{at + 1},"note":"'
            out.write(head + "x" * (size - len(head) - 2) + '"}\n')
    ground.produce("replay", topic, "--partitions", "2", "-X", "message.max.bytes=1048500", str(lines))
    done = ground.ingest(topic, table, "--max-message-bytes", "1048100")
    held, _ = ground.verify(table)
    letters = ground.query(table, "SELECT reason, count(*) AS n FROM dead_letters GROUP BY reason")
    expect(held == count * 9 // 10, f"{held} rows")
    expect(letters.out == f"reason,n\ntoo_large,{count // 10}\n", f"dead letters: {letters.out}")
    expect(done.rss < 512 * MIB, f"{mib(done.rss)} resident")
    figures = f"{done.seconds:.1f} s, {mib(done.rss)} resident at most; {count // 10} dead letters with a prefix of the payload"
    ground.tell("messages", f"{count} messages of 1 MiB, one in ten beyond the limit", figures)


def read_only(ground: Ground, folder: Path) -> None:
    """A lake on a file system that becomes read-only, and writable again. Needs root."""
    topic, place = "read-only", folder / "disk"
    place.mkdir()
    ground.produce("simulate", topic, "--partitions", "1", "--rate", "0", "--count", "1000")
    disk.mount(place)
    try:
        ground.ingest(topic, place / "lake")
        remount(place, "ro")
        ground.produce("simulate", topic, "--rate", "0", "--count", "1000", "--seed", "2")
        refused = ground.ingest(topic, place / "lake", code=None)
        expect(refused.code == 1, f"exit {refused.code}: {refused.err[-500:]}")
        error = next((line for line in refused.err.splitlines() if line.startswith("error: ")), "")
        expect("read-only" in error.lower(), f"the error does not say it: {refused.err[-800:]}")
        expect(ground.verify(place / "lake")[0] == 1_000, "verify reads a lake that can't be written")
        remount(place, "rw")
        ground.ingest(topic, place / "lake")
        expect(ground.verify(place / "lake")[0] == 2_000, "rows after the repair")
    finally:
        disk.unmount(place)
    ground.tell("read-only", "a folder that can't be written", f"exit 1 after {refused.seconds:.1f} s: `{shorter(error, folder)}`")


def remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", place], check=True)


def shorter(error: str, folder: Path) -> str:
    return error.removeprefix("error: ").replace(str(folder), "..")


def clock(ground: Ground, folder: Path) -> None:
    """The wall clock jumps by two days, back and forth, under a running ingest. Needs a C compiler."""
    topic, table, shim, off = "clock", folder / "lake", folder / "clock.so", folder / "off"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, HERE / "clock.c", "-ldl"], check=True)
    off.write_text("0")
    ground.produce("simulate", topic, "--partitions", "2", "--rate", "0", "--count", "1")
    flags = ["--flush-interval", "200ms", "--flush-rows", "500", "--maintain", "compact"]
    environment = {"LD_PRELOAD": str(shim), "CLOCK_OFF_FILE": str(off)}
    begun, jumps, rows, slowest = time.monotonic(), [172_800, -172_800, 0, 31_536_000, 0], 1, 0.0
    ingest = Launcher(ground.binary, ground.brokers, topic, str(table), folder, flags, environment).start("ingest")
    try:
        for seed, jump in enumerate(jumps * 4):
            off.write_text(str(jump))
            ground.produce("simulate", topic, "--rate", "0", "--count", "2000", "--seed", str(seed))
            rows += 2_000
            at = time.monotonic()
            while committed(ingest.log) < rows:
                expect(ingest.alive(), f"it ended: {ingest.tail()}")
                expect(time.monotonic() - at < 30, f"no commit after a jump of {jump} s")
                time.sleep(0.02)
            slowest = max(slowest, time.monotonic() - at)
    finally:
        code, _ = ingest.terminate()
    expect(code == 0, f"exit {code}: {ingest.tail()}")
    held, _ = ground.verify(table)
    expect(held == rows, f"{held} rows of {rows}")
    told = ingest.log.read_text(errors="replace")
    expect("WARN" not in told and "ERROR" not in told, f"it warns: {told[-3000:]}")
    ground.run("query", "--table", str(table), "--format", "csv", "latest")
    took = time.monotonic() - begun
    figures = f"{rows:,} messages, {rows:,} rows in {took:.0f} s; the slowest commit {slowest:.1f} s after its messages"
    ground.tell("clock", f"{len(jumps) * 4} jumps of the wall clock by 2 days and a year, back and forth", figures)


def committed(log: Path) -> int:
    """Rows that the log lines tell."""
    return sum(int(text) for text in re.findall(rb" committed version=\d+ .*?rows=(\d+)", log.read_bytes()))


SCENARIOS = {
    "messages": messages,
    "symbols": symbols,
    "read-only": read_only,
    "clock": clock,
    "dates": dates,
    "backlog": backlog,
    **memory.SCENARIOS,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", help="default: all")
    parser.add_argument("--sample", action="store_true", help="smaller, for those of memory.py")
    parser.add_argument("--list", action="store_true", help="names them")
    parser.add_argument("--brokers", help="default: a Kafka of its own")
    parser.add_argument("--binary", type=Path, default=REPOSITORY / "target" / "release" / "tickhouse")
    parser.add_argument("--keep", type=Path, help="folder of the run; default: a temporary one")
    args = parser.parse_args()
    if args.list:
        for name, scenario in SCENARIOS.items():
            print(f"{name:10} {scenario.__doc__}")
        return 0
    if "memory" in args.scenario:
        args.scenario = [name for name in args.scenario if name != "memory"] + list(memory.SCENARIOS)
    if unknown := [name for name in args.scenario if name not in SCENARIOS]:
        parser.error(f"no scenario {unknown[0]}; there are {', '.join(SCENARIOS)}")
    if not args.binary.is_file():
        parser.error(f"{args.binary} is not there: cargo build --release, or give --binary")
    unwind_on_sigterm()
    folder = args.keep or Path(tempfile.mkdtemp(prefix="tickhouse-limits-"))
    folder.mkdir(parents=True, exist_ok=True)
    servers, failed = Servers(folder), 0
    try:
        brokers = args.brokers or servers.start("kafka.sh")["BROKERS"]
        ground = Ground(args.binary.resolve(), brokers, folder, args.sample)
        print("| scenario | what | figures |\n|---|---|---|")
        for name in args.scenario or SCENARIOS:
            place = folder / name
            place.mkdir()
            try:
                SCENARIOS[name](ground, place)
                shutil.rmtree(place)
            except Unexpected as error:
                failed += 1
                print(f"{name}: {error}\nits folder: {place}", file=sys.stderr, flush=True)
    finally:
        servers.stop()
        if not failed and not args.keep:
            shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
