from dataclasses import asdict

from kinds import Kind, crash_points, load
from schedule import Round, plan, smaller


def kinds(*names: str, **needs) -> list[Kind]:
    return [Kind(name, lambda stage, chance: "", **needs) for name in names]


def names(rounds: list[Round]) -> list[str]:
    return [fault.kind for one in rounds for fault in one.faults]


def test_a_seed_is_a_schedule():
    some = kinds("a", "b", "c") + kinds("d", brokers=3) + kinds("e", store="s3", alone=True)
    first, again, other = (plan(some, 200, seed, ["local", "s3"]) for seed in (7, 7, 8))
    assert [asdict(one) for one in first] == [asdict(one) for one in again] != [asdict(one) for one in other]
    assert len(names(first)) == 200 and set(names(first)) == set("abcde")
    assert [Round.load(one.dump()) for one in first] == first
    for one in first:
        assert one.brokers == (3 if one.faults[0].kind == "d" else 1)
        assert {fault.kind for fault in one.faults} <= {"a", "b", "c"} or len({fault.kind for fault in one.faults}) == 1
    assert [one.brokers for one in first] == sorted(one.brokers for one in first)


def test_seeds_without_room_for_all_kinds_take_turns():
    some = kinds(*(f"kind{number}" for number in range(10)))
    rounds = [set(names(plan(some, 4, seed, ["local"]))) for seed in range(5)]
    assert all(len(one) == 4 for one in rounds)
    assert set.union(*rounds[:3]) == {kind.name for kind in some}


def test_every_crash_point_is_a_kind():
    found = load()
    assert len(crash_points()) >= 5
    for point in crash_points():
        assert found[f"crash-{point}"].crash_point


def test_smaller_schedules_leave_something_out():
    [one, *_] = plan(kinds("a", "b", "c", "d"), 40, 1, ["local"], workers=2)
    tried = list(smaller(one))
    assert len(tried) == 2 + len(one.faults) + 2
    for candidate in tried:
        assert len(candidate.faults) < len(one.faults) or candidate.workers == 1 or candidate.poison == 0
        assert {fault.seed for fault in candidate.faults} <= {fault.seed for fault in one.faults}
