"""What a writer needs and can lose for a while: its file system, its folder, rights, file handles, credentials, the
mapping that it was started with."""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import subprocess
import time
from pathlib import Path

import disk
from kinds import Missed, fault
from log_faults import COMMIT_SECONDS, commits, grown
from stage import START_SECONDS, Stage
from worker import Worker

GONE = b"mount its file system again"
SAID_SECONDS = 20
EXIT_SECONDS = 60


def files_in(folder: Path) -> list[str]:
    return sorted(str(Path(at, name).relative_to(folder)) for at, _, names in os.walk(folder) for name in names)


def expect_said(stage: Stage, what: str, words: bytes) -> None:
    """Some worker logs it; a log has one such line a minute."""
    end = time.monotonic() + SAID_SECONDS
    while not any(worker.says(words) for worker in stage.workers.values()):
        if time.monotonic() > end:
            if not stage.may_have_said(words):
                stage.findings.append(f"no worker said '{words.decode()}' although {what}")
            return
        time.sleep(0.05)


def opened(stage: Stage) -> None:
    """A worker that starts now would make a lake of its own, since nobody says --must-exist, or end with an error."""
    for worker in stage.workers.values():
        worker.wait_for(worker.opened, START_SECONDS)
    stage.working(next(iter(stage.workers)))


def expect_empty(stage: Stage, place: Path) -> None:
    """What is written below a mount point is gone when the file system is back."""
    if found := files_in(place):
        stage.findings.append(f"{len(found)} files were written in place of the lake, as {found[:3]}")
        shutil.rmtree(place)
        place.mkdir()


@fault("disk-unmounted", store="local", disk=True, weight=20)
def disk_unmounted(stage: Stage, chance: random.Random) -> str:
    """A network file system, a volume, a USB disk that goes away for seconds."""
    opened(stage)
    place = stage.objects.parent
    disk.unmount(place, 60)
    try:
        expect_said(stage, "the disk was unmounted", GONE)
        seconds = chance.uniform(0, 4)
        time.sleep(seconds)
        expect_empty(stage, place)
    finally:
        disk.mount(place)
    return f"unmounted until it was said, and {seconds:.1f} s more"


@fault("folder-moved", store="local", weight=12)
def folder_moved(stage: Stage, chance: random.Random) -> str:
    """The lake, or a folder above it, and an empty one in its place."""
    opened(stage)
    # A disk of the round can't be moved.
    folder = stage.objects if stage.disk else chance.choice((stage.objects, stage.objects.parent))
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.mkdir()
    try:
        expect_said(stage, "the lake was moved", GONE)
        time.sleep(chance.uniform(0, 3))
        expect_empty(stage, folder)
    finally:
        folder.rmdir()
        aside.rename(folder)
    return f"{folder.name} moved until it was said"


def expect_end(stage: Stage, worker: Worker, words: list[str]) -> None:
    """It can't go on, and says why."""
    end = time.monotonic() + EXIT_SECONDS
    while worker.alive() and time.monotonic() < end:
        time.sleep(0.05)
    if worker.alive():
        worker.kill()
        stage.findings.append(f"{worker.name} went on: {worker.tail()}")
        return
    for word in words:
        if word not in worker.log.read_text(errors="replace"):
            stage.findings.append(f"{worker.name} ended and did not say '{word}': {worker.tail()}")
    if worker.process.returncode != 1:
        stage.findings.append(f"{worker.name} ended with {worker.process.returncode}, not 1: {worker.tail()}")


def some_commits(stage: Stage, worker: Worker, chance: random.Random, count: int) -> None:
    for _ in range(count):
        before = stage.version()
        stage.produce(20 + chance.randrange(80))
        if stage.next_commit(before, COMMIT_SECONDS) is None:
            raise Missed(f"no commit within {COMMIT_SECONDS} s: {worker.tail()}")


@fault("older-copy-mounted", store="local", alone=True, weight=3)
def older_copy_mounted(stage: Stage, chance: random.Random) -> str:
    """A backup in the place of the lake: a commit on top of what the worker knows would leave a hole in its log."""
    worker = stage.start("writer")
    some_commits(stage, worker, chance, 3)
    copy, aside = stage.folder / "copy", stage.folder / "aside"
    shutil.copytree(stage.objects, copy)
    before = files_in(copy / "ticks" / "_delta_log")
    some_commits(stage, worker, chance, 3)
    stage.objects.rename(aside)
    copy.rename(stage.objects)
    stage.produce(50)
    expect_end(stage, worker, ["went back from version"])
    if (after := files_in(stage.objects / "ticks" / "_delta_log")) != before:
        stage.findings.append(f"the log of the copy was changed: {sorted(set(after) - set(before))}")
    shutil.rmtree(stage.objects)
    aside.rename(stage.objects)
    stage.expect_ingest()
    stage.check()
    return "refused, and read on when the lake was back"


@fault("restart-while-unmounted", store="local", disk=True, alone=True, weight=3)
def restart_while_unmounted(stage: Stage, chance: random.Random) -> str:
    """A supervisor that starts the ingest before its disk is mounted."""
    grown(stage, chance)
    place = stage.objects.parent
    disk.unmount(place)
    try:
        stage.expect_refusal(1, ["--must-exist", "mount its file system"], "--must-exist")
        expect_empty(stage, place)
    finally:
        disk.mount(place)
    stage.expect_ingest("--must-exist")
    stage.check()
    return "no second lake, and read on when the disk was back"


@fault("two-mappings", alone=True, weight=3)
def two_mappings(stage: Stage, chance: random.Random) -> str:
    """A worker with another mapping takes the lake over while one with the old mapping runs."""
    old = stage.start("old")
    some_commits(stage, old, chance, 2)
    # It changes how messages are read, and no row of this topic.
    changed = ["--exclude", "NOBODY"]
    new = stage.launcher.start("new", *changed, "--accept-input-change")
    stage.workers["new"] = new
    if not new.wait_for(new.opened, EXIT_SECONDS):
        raise Missed(f"the new worker did not open the lake: {new.tail()}")
    changed_in, end = newest_metadata(stage), time.monotonic() + EXIT_SECONDS
    while old.alive() and not commits_after(old, changed_in) and time.monotonic() < end:
        stage.produce(50)
        time.sleep(0.3)
    if late := commits_after(old, changed_in):
        stage.findings.append(
            f"rows by the old mapping in version {late[0]} of ticks, which has another one since version {changed_in}"
        )
        old.kill()
    else:
        expect_end(stage, old, ["the mapping of messages or the columns", "start it again with the configuration"])
    del stage.workers["old"]
    stage.stop_workers()
    stage.expect_ingest(*changed)
    stage.check()
    return f"changed in version {changed_in}; the old one {'went on' if late else 'ended before a commit'}"


def newest_metadata(stage: Stage) -> int:
    return max(int(path.stem) for path in commits(stage.objects / "ticks" / "_delta_log") if '{"metaData"' in path.read_text())


def commits_after(worker: Worker, version: int) -> list[int]:
    found = re.findall(rb" committed version=(\d+) ", worker.log.read_bytes())
    return [int(at) for at in found if int(at) > version]


def without_checkpoints(log: Path) -> None:
    found = sorted(log.glob("*.checkpoint.parquet"))
    if not found or not (log / "_last_checkpoint").exists():
        raise Missed("there is no checkpoint")
    for checkpoint in found:
        checkpoint.unlink()


@fault("log-hint-to-nothing", store="local", alone=True, weight=3)
def hint_to_nothing(stage: Stage, chance: random.Random) -> str:
    """The checkpoint that the hint names is gone, and all commits are there."""
    log = grown(stage, chance)
    without_checkpoints(log)
    done = stage.expect_ingest()
    if "names a checkpoint that is not there" not in done.output:
        stage.findings.append(f"nothing was said of the hint: {done.output[-2000:]}")
    for words in (["query", "SELECT count(*) FROM ticks"], ["maintain"], ["table", "history"]):
        read = stage.command(*words, "--table", stage.launcher.table)
        if read.returncode != 0:
            stage.findings.append(f"{words[0]} ended with {read.returncode}: {read.stderr[-1000:]}")
    stage.check()
    return f"{len(commits(log))} commits read without it"


@fault("no-rights", store="local", weight=8)
def no_rights(stage: Stage, chance: random.Random) -> str:
    """Root has every right; what is immutable is immutable for root, too."""
    opened(stage)
    folder = stage.objects / chance.choice(("ticks", "ticks/_delta_log", "dead_letters/_delta_log"))
    subprocess.run(["chattr", "+i", folder], check=True)
    try:
        time.sleep(chance.uniform(0.5, 3))
    finally:
        subprocess.run(["chattr", "-i", folder], check=True)
    return f"{folder.name} could not be written"


@fault("disk-read-only", store="local", disk=True, weight=8)
def disk_read_only(stage: Stage, chance: random.Random) -> str:
    """As a kernel leaves a file system after an error."""
    opened(stage)
    place, end = stage.objects.parent, time.monotonic() + SAID_SECONDS
    while subprocess.run(["mount", "-o", "remount,ro", place], capture_output=True).returncode != 0:
        if time.monotonic() > end:
            raise Missed("it was written to all the time")
    try:
        time.sleep(chance.uniform(0.5, 3))
    finally:
        disk.run("mount", "-o", "remount,rw", place)
    return "read-only for a while"


@fault("no-file-handles", weight=8)
def no_file_handles(stage: Stage, chance: random.Random) -> str:
    """Every open, and every new connection, fails."""
    name = stage.any_worker(chance)
    worker = stage.working(name)
    soft, hard = resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE, (3, hard))
    try:
        time.sleep(chance.uniform(0.5, 4))
    finally:
        if worker.alive():
            resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
    return f"none for {name}"


@fault("s3-credentials-expire", store="s3", weight=8)
def credentials_expire(stage: Stage, chance: random.Random) -> str:
    """Every request is turned away until somebody renews them."""
    opened(stage)
    stage.s3.proxy.tell(rule={"method": "PUT|GET|HEAD|POST|DELETE", "path": stage.topic, "do": "403"})
    hits = stage.wait_hits(stage.s3.proxy, SAID_SECONDS)
    seconds = chance.uniform(0.5, 5)
    time.sleep(seconds)
    return f"403 to all for {seconds:.1f} s, {hits} requests or more"
