"""One round: its faults under load or alone, then the checks."""

from __future__ import annotations

import random
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ground import Ground
from kinds import Kind, Missed
from schedule import Round
from stage import Stage


@dataclass
class Result:
    """Of a round, or of one fault that stands alone."""

    round: int
    faults: dict[str, int] = field(default_factory=dict)
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    missing: int = 0
    repeated: int = 0
    messages: int = 0
    """Ends of workers that a supervisor answers."""
    exits: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def take(self, stage: Stage) -> None:
        summary = stage.summary
        self.findings += stage.findings
        self.recoveries = stage.recoveries
        self.missing, self.repeated = summary.get("missing", 0), summary.get("repeated", 0)
        self.exits = stage.exits
        self.messages = summary.get("topic_messages", 0)

    def dump(self) -> dict:
        return asdict(self)


def run_round(ground: Ground, plan: Round, kinds: dict[str, Kind], binary: Path, folder: Path) -> list[Result]:
    if any(kinds[fault.kind].alone for fault in plan.faults):
        return [run_alone(ground, plan, kinds, binary, folder, place) for place in range(len(plan.faults))]
    result = Result(plan.number)
    begun = time.monotonic()
    stage = None
    try:
        stage = Stage(ground, plan, binary, folder, disk=any(kinds[fault.kind].disk for fault in plan.faults))
        stage.begin()
        for place, fault in enumerate(plan.faults, 1):
            strike(stage, fault, kinds[fault.kind], result, f"{place}/{len(plan.faults)}")
            if fault.settle:
                stage.settle(fault.kind)
            stage.expect_alive()
        stage.finish()
    except Exception as error:
        result.findings.append(f"the round broke off: {error!r}\n{traceback.format_exc()}")
    finally:
        if stage:
            stage.close()
            result.take(stage)
    result.seconds = round(time.monotonic() - begun, 1)
    return [result]


def run_alone(ground: Ground, plan: Round, kinds: dict[str, Kind], binary: Path, folder: Path, place: int) -> Result:
    fault, result = plan.faults[place], Result(plan.number)
    begun = time.monotonic()
    kind = kinds[fault.kind]
    stage = None
    try:
        stage = Stage(ground, plan, binary, folder / f"{place + 1:02}-{kind.name}", disk=kind.disk, topic_config=kind.topic)
        strike(stage, fault, kind, result, "alone")
    except Exception as error:
        result.findings.append(f"{kind.name} broke off: {error!r}\n{traceback.format_exc()}")
    finally:
        if stage:
            stage.close()
            result.take(stage)
    result.seconds = round(time.monotonic() - begun, 1)
    return result


def strike(stage: Stage, fault, kind: Kind, result: Result, where: str) -> None:
    begun = time.monotonic()
    try:
        line = kind.act(stage, random.Random(fault.seed))
        result.faults[kind.name] = result.faults.get(kind.name, 0) + 1
    except Missed as missed:
        line = f"MISSED: {missed}"
        stage.findings.append(f"{kind.name} missed: {missed}")
    finally:
        stage.calm()
    seconds = time.monotonic() - begun
    print(f"  {where:>5} {kind.name}: {line} ({seconds:.1f} s, ticks at version {stage.version()})", flush=True)
