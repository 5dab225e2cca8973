#!/usr/bin/env python3
"""Does the harness find what it is for? Builds tickhouse with a known defect and runs schedules until one fails.

    tests/faults/mutants                      all of them
    tests/faults/mutants no-fence --seed 7    this one

Each defect is a cargo feature of a few lines. Prints the schedule that caught it, and keeps the round's folder. The usual
binary of the target folder is the last mutant afterwards: cargo build makes it anew. Exit code 0: every one was found; 1: one
was not; 2: usage.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from servers import REPOSITORY

#: What a defect needs to show: kinds of faults, and more flags of the harness.
FITTING = {
    "blind-retry": ["--only", "s3-503-after,s3-drop-after,s3-hang-after", "--store", "s3"],
    "offsets-elsewhere": ["--only", "kill-at-commit,crash-ticks-committed,crash-offsets", "--store", "local"],
    "no-fence": ["--only", "zombie,scale", "--store", "local", "--workers", "2"],
}
FAULTS = 60


def build(name: str, target: Path) -> Path:
    command = ["cargo", "build", "--locked", "--features", f"mutant-{name}", "--bin", "tickhouse"]
    command += ["--message-format", "json-render-diagnostics"]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"the mutant {name} can't be built")
    built = [json.loads(line).get("executable") for line in done.stdout.splitlines() if line.startswith("{")]
    binary = target / f"tickhouse-{name}"
    shutil.copy(next(filter(None, reversed(built))), binary)
    return binary


def hunt(name: str, binary: Path, folder: Path, seed: int) -> bool:
    home = folder / name
    command = [sys.executable, REPOSITORY / "tests/faults/harness.py", "--binary", binary, "--keep", home]
    command += ["--seed", str(seed), "--faults", str(FAULTS), "--until-failure", *FITTING[name]]
    code = subprocess.run(command, env=os.environ).returncode
    schedules = sorted(home.glob("round-*/schedule.json"))
    if code != 1 or not schedules:
        print(f"NOT FOUND: {name}, {FAULTS} faults of seed {seed} showed nothing", flush=True)
        return False
    state = json.loads((home / "state.json").read_text())
    finding = next(finding for result in state["results"] for finding in result["findings"])
    print(f"found: {name}, in round {len(state['results'])} of seed {seed}: {finding[:300]}")
    print(f"by {schedules[-1]}:\n{schedules[-1].read_text()}", flush=True)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mutants", nargs="*", default=list(FITTING), metavar="MUTANT", help=f"of {', '.join(FITTING)}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--built", type=Path, metavar="DIR", help="take tickhouse-MUTANT from there and build nothing")
    args = parser.parse_args()
    if unknown := set(args.mutants) - set(FITTING):
        parser.error(f"unknown mutants: {', '.join(sorted(unknown))}")
    folder = Path(tempfile.mkdtemp(prefix="tickhouse-mutants-"))
    found = []
    for name in args.mutants:
        binary = args.built / f"tickhouse-{name}" if args.built else build(name, folder)
        found.append(hunt(name, binary.resolve(), folder, args.seed))
    print(f"{sum(found)} of {len(found)} mutants found", flush=True)
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
