"""A small disk that a test can fill and take away: a file system in an image, mounted through a loop device. Needs root."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

# Compaction keeps what it replaced, and a slow machine has long rounds.
SIZE = 512 << 20
BALLAST = "ballast"
PIECE = 1 << 16


def run(*words: str | Path) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))} ended with {done.returncode}: {done.stderr.strip()}")


def image(place: Path) -> Path:
    return place.with_name(f"{place.name}.img")


def mount(place: Path) -> None:
    """What was there before is there again."""
    if not image(place).exists():
        with image(place).open("wb") as file:
            file.truncate(SIZE)
        # No block is kept for root: a full disk is full for everybody.
        run("mkfs.ext4", "-q", "-m", "0", image(place))
    run("mount", "-o", "loop", image(place), place)


def missing() -> str | None:
    """Why this machine can't have one."""
    if os.geteuid() != 0:
        return "a disk to fill and to unmount needs root"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "disk")
        place.mkdir()
        try:
            mount(place)
            unmount(place)
        except RuntimeError as error:
            return str(error)
    return None


def unmount(place: Path, seconds: float = 10) -> None:
    """Not by force: between two writes nobody holds it."""
    end = time.monotonic() + seconds
    while True:
        try:
            return run("umount", place)
        except RuntimeError:
            if time.monotonic() > end:
                raise
        time.sleep(0.005)


def fill(place: Path) -> None:
    """To the last byte."""
    with (place / BALLAST).open("wb", buffering=0) as ballast:
        for size in (PIECE, 1):
            try:
                while True:
                    ballast.write(bytes(size * 16))
            except OSError:
                continue


def free(place: Path) -> None:
    (place / BALLAST).unlink()
