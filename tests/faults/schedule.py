"""Which faults a run has, in which rounds: a pure function of seed, number and kinds, and readable as JSON."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass, field
from typing import Iterator

from kinds import Kind

FAULTS_A_ROUND = 10
RATES = (40, 500, 1_500, 3_000)


@dataclass
class Fault:
    kind: str
    """Of the choices inside of it, so that it stays the same when others are left out."""
    seed: int
    """Waits for the next commit before the next fault."""
    settle: bool = True


@dataclass
class Round:
    number: int
    seed: int
    store: str
    brokers: int
    workers: int
    rate: int
    poison: float
    faults: list[Fault] = field(default_factory=list)

    def dump(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @staticmethod
    def load(text: str) -> Round:
        fields = json.loads(text)
        faults = [Fault(**fault) for fault in fields.pop("faults")]
        return Round(**fields, faults=faults)


def deal(kinds: list[Kind], count: int, seed: int, chance: random.Random) -> list[Kind]:
    """Every kind once before any is there twice, then by weight. Where there is no room for all of them, the next seed
    takes those that come next."""
    if count <= len(kinds):
        order = random.Random(0).sample(kinds, len(kinds))
        begin = seed * count % len(kinds)
        dealt = (order + order)[begin : begin + count]
        chance.shuffle(dealt)
        return dealt
    whole = sum(kind.weight for kind in kinds)
    rest = count - len(kinds)
    dealt = [*kinds, *(kind for kind in kinds for _ in range(rest * kind.weight // whole))]
    dealt += chance.choices(kinds, [kind.weight for kind in kinds], k=count - len(dealt))
    chance.shuffle(dealt)
    return dealt


def plan(kinds: list[Kind], count: int, seed: int, stores: list[str], workers: int | None = None,
         rate: int | None = None) -> list[Round]:
    """Faults that need the same servers share a round. Rounds come in random order, those with three brokers last."""
    chance = random.Random(seed)
    groups: dict[tuple, list[Kind]] = {}
    for kind in deal(kinds, count, seed, chance):
        store = kind.store or chance.choice(stores)
        groups.setdefault((kind.brokers, store, kind.alone), []).append(kind)
    rounds = []
    for (brokers, store, alone), dealt in sorted(groups.items()):
        for begin in range(0, len(dealt), FAULTS_A_ROUND):
            one = Round(
                0,
                chance.randrange(1 << 30),
                store,
                brokers,
                workers=workers or chance.choice((1, 1, 2)),
                rate=rate or chance.choice(RATES),
                poison=0.02,
            )
            for kind in dealt[begin : begin + FAULTS_A_ROUND]:
                one.faults.append(Fault(kind.name, chance.randrange(1 << 30), alone or chance.random() < 0.75))
            rounds.append(one)
    chance.shuffle(rounds)
    rounds.sort(key=lambda one: one.brokers)
    for number, one in enumerate(rounds, 1):
        one.number = number
    return rounds


def smaller(one: Round) -> Iterator[Round]:
    """Schedules to try in place of a failing one: halves, then each without one fault, then an easier round."""

    def of(faults: list[Fault], **changes) -> Round:
        return Round(**{**vars(one), "faults": faults, **changes})

    half = len(one.faults) // 2
    if half > 1:
        yield of(one.faults[:half])
        yield of(one.faults[half:])
    if len(one.faults) > 1:
        for left_out in range(len(one.faults)):
            yield of(one.faults[:left_out] + one.faults[left_out + 1 :])
    if one.workers > 1:
        yield of(one.faults, workers=1)
    if one.poison:
        yield of(one.faults, poison=0.0)
