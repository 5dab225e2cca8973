"""A small disk that a test can fill: a file system in memory, which needs root."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

SIZE = "256m"
BALLAST = "ballast"
PIECE = 1 << 16


def mount(place: Path) -> None:
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"a disk to fill can't be mounted: {done.stderr.strip()}")


def missing() -> str | None:
    """Why this machine can't have one."""
    if os.geteuid() != 0:
        return "a disk to fill needs root"
    with tempfile.TemporaryDirectory() as folder:
        try:
            mount(Path(folder))
        except RuntimeError as error:
            return str(error)
        unmount(Path(folder))
    return None


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
