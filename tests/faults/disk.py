"""A small disk that a test can fill: a file system in memory, which needs root."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from kinds import Skipped

SIZE = "256m"
BALLAST = "ballast"
PIECE = 1 << 16


def mount(place: Path) -> None:
    if os.geteuid() != 0:
        raise Skipped("a disk to fill needs root")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], capture_output=True, text=True)
    if done.returncode != 0:
        raise Skipped(f"a disk to fill can't be mounted: {done.stderr.strip()}")


def unmount(place: Path) -> None:
    subprocess.run(["umount", "--lazy", place], check=True)


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
