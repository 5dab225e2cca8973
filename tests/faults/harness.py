#!/usr/bin/env python3
"""Ingest under load while things break, and after every round: is every message in exactly one place?

    tests/faults/run --seed 1 --faults 1000          the long run
    tests/faults/run --only crash,s3 --faults 40     kinds whose names begin so; --list names them all
    tests/faults/run --resume DIR                    goes on where a run was interrupted
    tests/faults/run --schedule FILE [--shrink]      one round again; smaller ones that still fail

The seed decides kinds, order and the choices inside of each fault, not the instant at which a signal meets the process:
repeat a schedule several times before you call a failure gone. Servers are started as needed and stopped at the end.

Prints a line for each fault; the last line is a summary as JSON, also in DIR/result.json. A round with findings keeps
its folder. Exit code 0: nothing found; 1: findings; 2: usage.
"""

from __future__ import annotations

import argparse
import json
import mmap
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

import disk
import kinds as registry
from ground import Ground
from rounds import Result, run_round
from schedule import Round, plan, smaller
from servers import REPOSITORY, Servers, unwind_on_sigterm

#: A failure that hangs on an instant may stay away once.
TRIES = 3
SHOWN = 20


def has_crash_points(binary: Path) -> bool:
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return text.find(b"TICKHOUSE_TEST_CRASH") >= 0


def chosen(kinds: dict[str, registry.Kind], only: str | None, binary: Path, stores: list[str],
           without_disk: bool) -> tuple[list, dict]:
    """The kinds of a run, and why others can't be part of it."""
    picked = list(kinds.values())
    if only:
        wanted = only.split(",")
        for word in wanted:
            if not any(kind.name.startswith(word) for kind in picked):
                raise SystemExit(f"no kind of fault is named {word}: see --list")
        picked = [kind for kind in picked if any(kind.name.startswith(word) for word in wanted)]
    picked = [kind for kind in picked if kind.store is None or kind.store in stores]
    left_out = {}
    if not has_crash_points(binary):
        reason = "the binary has no crash points: take a development build (cargo build), or cargo build --release --features faults"
        left_out |= {kind.name: reason for kind in picked if kind.crash_point}
    if any(kind.disk for kind in picked) and (reason := disk.missing()):
        if not without_disk:
            raise SystemExit(f"{reason}; --without-disk leaves the kinds out that need one")
        left_out |= {kind.name: reason for kind in picked if kind.disk}
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}", file=sys.stderr)
    picked = [kind for kind in picked if kind.name not in left_out]
    if not picked:
        raise SystemExit("no kind of fault is left")
    return picked, left_out


class Run:
    """Rounds, one after the other, and what is known after each of them, in a file."""

    def __init__(self, folder: Path, settings: dict, binary: Path):
        self.folder, self.settings, self.binary = folder, settings, binary
        self.kinds = registry.load()
        self.results: list[dict] = []
        self.left_out: dict[str, str] = {}
        self.before = 0.0
        self.begun = time.monotonic()
        self.ground = Ground(folder, Servers(folder))

    @property
    def state(self) -> Path:
        return self.folder / "state.json"

    def save(self) -> None:
        state = {"settings": self.settings, "seconds": self.seconds(), "results": self.results}
        fresh = self.state.with_suffix(".new")
        fresh.write_text(json.dumps(state))
        fresh.rename(self.state)

    def load(self) -> None:
        state = json.loads(self.state.read_text())
        self.settings, self.results, self.before = state["settings"], state["results"], state["seconds"]

    def seconds(self) -> float:
        return round(self.before + time.monotonic() - self.begun, 1)

    def execute(self, one: Round) -> list[Result]:
        """A round in a folder of its own, which goes when nothing was found."""
        home = self.folder / f"round-{one.number:03}"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        (home / "schedule.json").write_text(one.dump())
        load = "alone" if all(self.kinds[fault.kind].alone for fault in one.faults) else f"{one.workers} workers, {one.rate}/s"
        print(f"round {one.number}: {len(one.faults)} faults, {one.store}, {one.brokers} brokers, {load}", flush=True)
        results = run_round(self.ground, one, self.kinds, self.binary, home)
        findings = [finding for result in results for finding in result.findings]
        for finding in findings[:SHOWN]:
            print(f"FINDING {finding}", file=sys.stderr, flush=True)
        if len(findings) > SHOWN:
            print(f"and {len(findings) - SHOWN} more, in {self.state}", file=sys.stderr, flush=True)
        if findings:
            print(f"round {one.number} of seed {self.settings.get('seed')} failed; again: "
                  f"tests/faults/run --schedule {home}/schedule.json", file=sys.stderr, flush=True)
        else:
            shutil.rmtree(home)
        return results

    def run(self, rounds: list[Round], minutes: float | None, until_failure: bool) -> bool:
        """False: findings."""
        done = {result["round"] for result in self.results}
        for one in rounds:
            if one.number in done:
                continue
            if minutes is not None and time.monotonic() - self.begun > minutes * 60:
                print(f"{minutes:g} minutes are over after {len(self.results)} results", file=sys.stderr)
                break
            self.results += [result.dump() for result in self.execute(one)]
            self.save()
            if until_failure and any(result["findings"] for result in self.results):
                break
        return not any(result["findings"] for result in self.results)

    def summary(self) -> dict:
        """What matrix.py makes its table of."""
        kinds: dict[str, dict] = {}
        for result in self.results:
            for name, count in result["faults"].items():
                one = kinds.setdefault(name, {"count": 0, "lost": 0, "duplicated": 0, "failed_rounds": 0, "recovery_s": []})
                one["count"] += count
                one["lost"] += result["missing"]
                one["duplicated"] += result["repeated"]
                one["failed_rounds"] += bool(result["findings"])
            for name, seconds in result["recoveries"].items():
                if name in kinds:
                    kinds[name]["recovery_s"] += seconds
        exits: dict[str, int] = {}
        for result in self.results:
            for words, count in result["exits"].items():
                exits[words] = exits.get(words, 0) + count
        return {
            **self.settings,
            "seconds": self.seconds(),
            "rounds": len({result["round"] for result in self.results}),
            "faults_done": sum(one["count"] for one in kinds.values()),
            "messages": sum(result["messages"] for result in self.results),
            "lost": sum(result["missing"] for result in self.results),
            "duplicated": sum(result["repeated"] for result in self.results),
            "exits": exits,
            "findings": sum(len(result["findings"]) for result in self.results),
            "left_out": self.left_out,
            "kinds": dict(sorted(kinds.items())),
        }

    def shrink(self, one: Round) -> Round:
        """The smallest schedule that still failed."""
        def fails(candidate: Round) -> bool:
            return any(result.findings for _ in range(TRIES) for result in self.execute(candidate))

        while True:
            for candidate in smaller(one):
                if fails(candidate):
                    one = candidate
                    break
            else:
                return one


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="default: a random one, which is printed")
    parser.add_argument("--faults", type=int, default=100, help="how many; every kind once before any comes twice")
    parser.add_argument("--only", metavar="KIND,..", help="kinds whose names begin so")
    parser.add_argument("--store", choices=["local", "s3"], help="default: both")
    parser.add_argument("--workers", type=int, choices=[1, 2], help="default: by the seed")
    parser.add_argument("--rate", type=int, help="messages a second; default: by the seed")
    parser.add_argument("--minutes", type=float, help="begins no round after that time")
    parser.add_argument("--until-failure", action="store_true", help="ends with the first round that has findings")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="goes on with the run of that folder")
    parser.add_argument("--schedule", type=Path, metavar="FILE", help="runs this round alone")
    parser.add_argument("--shrink", action="store_true", help="with --schedule: looks for a smaller one that fails")
    parser.add_argument("--binary", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="folder of the run; default: a temporary one")
    parser.add_argument("--without-disk", action="store_true", help="where no file system can be mounted")
    parser.add_argument("--list", action="store_true", help="names the kinds")
    args = parser.parse_args()
    unwind_on_sigterm()
    if args.list:
        for kind in registry.load().values():
            print(kind.name)
        return 0
    if not args.binary.is_file():
        parser.error(f"{args.binary} does not exist: run cargo build, or name it with --binary")
    if args.shrink and not args.schedule:
        parser.error("--shrink needs --schedule")
    seed = args.seed if args.seed is not None else secrets.randbelow(1_000_000)
    folder = args.resume or args.keep or Path(tempfile.mkdtemp(prefix="tickhouse-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    settings = {"seed": seed, "faults": args.faults, "only": args.only, "store": args.store}
    settings |= {"workers": args.workers, "rate": args.rate}
    run = Run(folder, settings, args.binary.resolve())
    if args.resume:
        run.load()
    good = False
    try:
        if args.schedule:
            one = Round.load(args.schedule.read_text())
            if args.shrink:
                smallest = run.shrink(one)
                print(smallest.dump())
                args.schedule.with_suffix(".small.json").write_text(smallest.dump())
                good = True
            else:
                good = run.run([one], None, False)
        else:
            wanted = run.settings
            print(f"seed {wanted['seed']}, in {folder}", flush=True)
            stores = [wanted["store"]] if wanted["store"] else ["local", "s3"]
            kinds, run.left_out = chosen(run.kinds, wanted["only"], run.binary, stores, args.without_disk)
            rounds = plan(kinds, wanted["faults"], wanted["seed"], stores, wanted["workers"], wanted["rate"])
            good = run.run(rounds, args.minutes, args.until_failure)
    finally:
        run.ground.stop()
    summary = run.summary()
    (folder / "result.json").write_text(json.dumps(summary, indent=1))
    print(json.dumps(summary))
    if good and not (args.keep or args.resume):
        shutil.rmtree(folder)
    else:
        print(f"results, logs and tables are in {folder}", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
