"""Forks read through and leave what is beneath as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.planning.tables import Shelf, Table, Tally

WRITES = st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(1, 9)), max_size=25)


@given(beneath=WRITES, above=WRITES)
def test_a_forked_table_is_a_dict_of_its_own(
    beneath: list[tuple[bool, int, int]], above: list[tuple[bool, int, int]]
) -> None:
    table: Table[int, int] = Table()
    model: dict[int, int] = {}

    def write(to: Table[int, int], model: dict[int, int], put: bool, key: int, value: int) -> None:  # noqa: FBT001
        if put:
            to.put(key, value)
            model[key] = value
        else:
            to.drop(key)
            model.pop(key, None)

    for change in beneath:
        write(table, model, *change)
    fork, forked = table.fork(), dict(model)
    for change in above:
        write(fork, forked, *change)
    assert dict(fork.items()) == forked
    assert dict(table.items()) == model
    assert all(fork.get(key) == forked.get(key) and (key in fork) == (key in forked) for key in range(5))


@given(beneath=WRITES, above=WRITES)
def test_a_forked_shelf_keeps_order_and_leaves_the_one_beneath(
    beneath: list[tuple[bool, int, int]], above: list[tuple[bool, int, int]]
) -> None:
    shelf: Shelf[int, int] = Shelf()
    model: set[tuple[int, int]] = set()

    def write(to: Shelf[int, int], model: set[tuple[int, int]], group: int, entry: int) -> None:
        """Toggle: what is there is removed, what is not is added."""
        if (group, entry) in model:
            to.remove(group, entry)
            model.remove((group, entry))
        else:
            to.add(group, entry)
            model.add((group, entry))

    for _, group, entry in beneath:
        write(shelf, model, group, entry)
    fork, forked = shelf.fork(), set(model)
    for _, group, entry in above:
        write(fork, forked, group, entry)
    for one, other in ((shelf, model), (fork, forked)):
        for group in range(5):
            entries = sorted(entry for of, entry in other if of == group)
            assert list(one.entries(group)) == entries
            assert one.count(group) == len(entries)
            assert one.first(group) == (entries[0] if entries else None)
            for entry in range(10):
                assert one.after(group, entry) == next((each for each in entries if each > entry), None)
        assert set(one.groups()) == {group for group, _ in other}


def test_a_tally_never_falls_below_nothing() -> None:
    tally: Tally[str] = Tally()
    tally.add("x", 2)
    fork = tally.fork()
    fork.add("x", -2)
    assert (tally["x"], fork["x"], dict(fork.items())) == (2, 0, {})
    with pytest.raises(ValueError, match="below nothing"):
        fork.add("x", -1)


def test_taking_what_is_not_on_a_shelf_is_an_error() -> None:
    with pytest.raises(ValueError, match="not on the shelf"):
        Shelf[str, int]().remove("x", 1)
