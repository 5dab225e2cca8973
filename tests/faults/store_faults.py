"""Faults of the store and of the network to it."""

from __future__ import annotations

import json
import random
import time

import disk
from delta_log import Folder, read_table
from kinds import fault
from stage import Stage

STRIKE_SECONDS = 30
TICKS_COMMIT = r"/ticks/_delta_log/\d{20}\.json"
LETTERS_COMMIT = r"/dead_letters/_delta_log/\d{20}\.json"
DATA_FILE = r"\.parquet"
ANYTHING = "PUT|GET|HEAD|POST|DELETE"


def breaking_puts(name: str, what: str, weight: int = 15):
    """Requests that write: a commit of ticks, one of dead letters, or a data file; one or several in a row."""

    @fault(name, store="s3", weight=weight)
    def act(stage: Stage, chance: random.Random) -> str:
        path = chance.choice((TICKS_COMMIT, TICKS_COMMIT, LETTERS_COMMIT, DATA_FILE))
        # Only a commit is a conditional put: for others these answers have no meaning.
        if what in ("409", "412"):
            path = chance.choice((TICKS_COMMIT, LETTERS_COMMIT))
        if stage.plan.poison == 0 and path == LETTERS_COMMIT:
            path = TICKS_COMMIT
        times, seconds = chance.choice((1, 1, 2, 4)), chance.uniform(0.5, 4)
        rule = {"method": "PUT", "path": f"{stage.topic}.*{path}", "do": what, "times": times, "seconds": seconds}
        stage.s3.proxy.tell(rule=rule)
        hits = stage.wait_hits(stage.s3.proxy, STRIKE_SECONDS)
        # The others of the row may come with the retries; a crash of the worker in between is another kind.
        end = time.monotonic() + 2
        while hits < times and time.monotonic() < end:
            hits = stage.s3.proxy.tell()["hits"]
            time.sleep(0.02)
        if what in ("hang", "hang-after"):
            time.sleep(seconds)
        return f"{what} {hits} times at {path}"

    return act


for _name, _what in (
    ("s3-503-after-storing", "503-after"),
    ("s3-drop-after-storing", "drop-after"),
    ("s3-hang", "hang"),
    ("s3-hang-after-storing", "hang-after"),
    ("s3-503", "503"),
    ("s3-409", "409"),
    ("s3-spurious-412", "412"),
):
    breaking_puts(_name, _what)


def at_a_start(stage: Stage, chance: random.Random, rule: dict) -> str:
    """Most is read and listed when a worker starts."""
    name = stage.any_worker(chance)
    stage.working(name)
    stage.workers[name].kill()
    stage.s3.proxy.tell(rule=rule)
    stage.start(name)
    hits = stage.wait_hits(stage.s3.proxy, STRIKE_SECONDS)
    time.sleep(chance.uniform(0, 2))
    return f"{rule['do']}: {hits} times or more while {name} started"


@fault("s3-truncated-get", store="s3")
def truncated_get(stage: Stage, chance: random.Random) -> str:
    rule = {"method": "GET", "path": rf"{stage.topic}.*_delta_log/[0-9_]", "do": "truncate", "times": chance.randint(1, 6)}
    return at_a_start(stage, chance, rule)


@fault("s3-stale-list", store="s3")
def stale_list(stage: Stage, chance: random.Random) -> str:
    rule = {"method": "GET", "path": "list-type=2.*_delta_log", "do": "stale-list", "seconds": chance.uniform(2, 6)}
    return at_a_start(stage, chance, rule)


@fault("store-cut", store="s3", weight=12)
def cut(stage: Stage, chance: random.Random) -> str:
    """Connections are closed without an answer."""
    seconds = chance.uniform(0.5, 5)
    stage.s3.proxy.tell(rule={"method": ANYTHING, "path": stage.topic, "do": "refuse"})
    hits = stage.wait_hits(stage.s3.proxy, STRIKE_SECONDS)
    time.sleep(seconds)
    return f"no store for {seconds:.1f} s, {hits} requests or more"


@fault("s3-dead-letters-refused", store="s3", weight=8)
def dead_letters_refused(stage: Stage, chance: random.Random) -> str:
    """The other table must wait: what comes after a dead letter would skip it."""
    stage.working(stage.any_worker(chance))
    stage.source.poison = 0.2
    path, answer = f"{stage.topic}/dead_letters", chance.choice(("503", "403"))
    stage.s3.proxy.tell(rule={"method": "PUT", "path": path, "do": answer})
    hits = stage.wait_hits(stage.s3.proxy, STRIKE_SECONDS, least=3 * len(stage.workers))
    time.sleep(chance.uniform(1, 3))
    # A flush whose dead letters were stored before still commits its ticks.
    after, counted, stored = stage.version(), dead_counted(stage), dead_stored(stage)
    if counted > stored:
        stage.findings.append(f"ticks at version {after} count {counted} dead letters, and {stored} are stored")
    return f"{answer} for {path.split('/')[1]}, {hits} times or more; ticks waited at version {after}"


def dead_counted(stage: Stage) -> int:
    record = read_table(Folder(stage.objects / "ticks")).record
    return sum(one["dead"] for one in record["partitions"].values()) if record else 0


def dead_stored(stage: Stage) -> int:
    commits = read_table(Folder(stage.objects / "dead_letters")).commits
    adds = [add for commit in commits for add in commit.of("add") if add["dataChange"]]
    return sum(json.loads(add["stats"])["numRecords"] for add in adds)


@fault("s3-no-if-none-match", store="s3", alone=True, weight=3)
def no_if_none_match(stage: Stage, chance: random.Random) -> str:
    """Its signature covers If-None-Match, so the answer is what the proxy changes."""
    stage.s3.proxy.tell(rule={"method": "PUT", "path": stage.topic, "do": "lie"})
    stage.produce(100)
    stage.expect_refusal(1, ["ignores If-None-Match"])
    if stage.version() != -1:
        stage.findings.append("a table was made in a store that ignores If-None-Match")
    stage.s3.proxy.tell(rule=None)
    stage.expect_ingest()
    stage.check()
    return "refused, then taken when the store was a good one"


@fault("disk-full", store="local", disk=True, weight=15)
def disk_full(stage: Stage, chance: random.Random) -> str:
    stage.working(stage.any_worker(chance))
    place = stage.objects.parent
    disk.fill(place)
    try:
        seconds = chance.uniform(1, 4)
        time.sleep(seconds)
        said = stage.may_have_said(b"the disk is full")
    finally:
        disk.free(place)
    if not said and stage.plan.rate > 100:
        stage.findings.append(f"the disk was full for {seconds:.1f} s and no worker said so")
    return f"no byte free for {seconds:.1f} s"
