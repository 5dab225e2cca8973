"""What is measured: a build of tickhouse, and the lakes of `cargo bench --bench lake`."""

from __future__ import annotations

import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def tickhouse(given: Path | None, profile: str = "release") -> Path:
    """The given binary, or one that is built now."""
    if given is None:
        build = ["cargo", "build", "--locked", "--bin", "tickhouse", "--profile", profile]
        subprocess.run(build, cwd=REPOSITORY, check=True)
        given = REPOSITORY / "target" / ("debug" if profile == "dev" else profile) / "tickhouse"
    return given.resolve()


def make_lakes(folder: Path, ticks: int, *more: str) -> None:
    """Once: a folder that was left half-way is refused by the command itself."""
    if (folder / "complete").exists():
        return
    make = ["cargo", "bench", "--locked", "--bench", "lake", "--", "--ticks", str(ticks), "--folder", str(folder), *more]
    subprocess.run(make, cwd=REPOSITORY, check=True)
    (folder / "complete").touch()
