#!/usr/bin/env python3
"""Does the harness find what it is for? Builds tickhouse with a known defect and runs schedules until one fails.

    tests/faults/mutants                      all of them
    tests/faults/mutants no-fence --seed 7    this one

Each defect is a patch in tests/faults/defects that is applied to a copy of the tree. Prints the schedule that caught it, and keeps the round's folder. The usual
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
DEFECTS = Path(__file__).parent / "defects"
FAULTS = 60
#: A worker that ends, or takes long, is no proof.
LAKE_IS_WRONG = ("P1", "P2", "P3", "ticks:", "dead_letters:")


def patch(name: str) -> Path:
    return DEFECTS / f"{name}.patch"


def copy_with_defect(name: str, copy: Path) -> None:
    """The tree as git knows it, changes that are not committed included, with the defect in it."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    for file in filter(None, listed.split("\0")):
        if (REPOSITORY / file).is_file():
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / file, copy / file)
    subprocess.run(["git", "apply", patch(name)], cwd=copy, check=True, env=os.environ | {"GIT_CEILING_DIRECTORIES": str(copy.parent)})


def build(name: str, folder: Path) -> Path:
    """The target folder is the usual one, so that dependencies are built once."""
    copy = folder / f"tree-{name}"
    copy_with_defect(name, copy)
    command = ["cargo", "build", "--locked", "--bin", "tickhouse"]
    command += ["--message-format", "json-render-diagnostics"]
    target = os.environ.get("CARGO_TARGET_DIR", str(REPOSITORY / "target"))
    done = subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, text=True, env=os.environ | {"CARGO_TARGET_DIR": target})
    if done.returncode != 0:
        raise SystemExit(f"the mutant {name} can't be built")
    built = [json.loads(line).get("executable") for line in done.stdout.splitlines() if line.startswith("{")]
    binary = folder / f"tickhouse-{name}"
    shutil.copy(next(filter(None, reversed(built))), binary)
    shutil.rmtree(copy)
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
    findings = [finding for result in state["results"] for finding in result["findings"]]
    wrong = [finding for finding in findings if finding.startswith(LAKE_IS_WRONG)]
    if not wrong:
        print(f"NOT FOUND: {name}: the lake is right, and yet: {findings}", flush=True)
        return False
    lines = [f"{name}: found in {schedules[-1].parent.name} of seed {seed}, {len(wrong)} findings, as in:"]
    lines += [f"  {finding[:200]}" for finding in wrong[:3]]
    print("\n".join(lines), f"by the schedule {schedules[-1]}:", schedules[-1].read_text(), sep="\n", flush=True)
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
