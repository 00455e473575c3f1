"""The bitmap of who left counts exactly what a plain set counts, at every block border and in Redis's bit order."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from app.domain.line import BLOCK_BITS, Bits, ahead

BORDERS = [0, 1, 7, 8, 9, BLOCK_BITS - 1, BLOCK_BITS, BLOCK_BITS + 1, 2 * BLOCK_BITS, 5 * BLOCK_BITS - 1]
numbers = st.integers(0, 6 * BLOCK_BITS) | st.sampled_from(BORDERS)


class BitsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.bits, self.members = Bits(), set[int]()

    @rule(number=numbers)
    def add(self, number: int) -> None:
        self.bits.add(number)
        self.members.add(number)

    @rule(number=numbers)
    def discard(self, number: int) -> None:
        self.bits.discard(number)
        self.members.discard(number)

    @rule(low=numbers, high=numbers)
    def count(self, low: int, high: int) -> None:
        assert self.bits.count_below(high) == sum(member < high for member in self.members)
        assert self.bits.count_between(low, high) == sum(low < member < high for member in self.members)

    @rule(others=st.sets(numbers))
    def compare(self, others: set[int]) -> None:
        other = Bits()
        for number in others:
            other.add(number)
        assert list(self.bits.differs(other)) == list(other.differs(self.bits)) == sorted(self.members ^ others)

    @rule(number=numbers)
    def ask(self, number: int) -> None:
        assert (number in self.bits) == (number in self.members)

    @invariant()
    def names_everyone_in_order(self) -> None:
        assert list(self.bits) == sorted(self.members)

    @invariant()
    def counts_everyone(self) -> None:
        assert self.bits.count_below(10 * BLOCK_BITS) == len(self.members)


def test_a_count_between_is_fresh_though_somebody_counted_below_after_the_change() -> None:
    bits = Bits()
    assert bits.count_between(3, 9) == 0
    bits.add(1)
    assert bits.count_below(2) == 1
    bits.add(4)
    assert bits.count_below(2) == 1
    assert bits.count_between(3, 9) == 1
    bits.discard(1)
    assert bits.count_below(2) == 0
    assert bits.count_between(3, 9) == 1


TestBits = BitsMachine.TestCase
TestBits.settings = settings(max_examples=40, stateful_step_count=30)


@given(st.sets(numbers, max_size=50), numbers)
def test_a_bitmap_of_redis_loads_as_it_is(members: set[int], number: int) -> None:
    """Bit 0 is the highest bit of the first byte, as SETBIT has it; the last byte is where the highest member is."""
    data = bytearray(max(members, default=-1) // 8 + 1)
    for member in members:
        data[member // 8] |= 128 >> member % 8
    bits = Bits(bytes(data))
    assert bits.count_below(number) == sum(member < number for member in members)
    assert all(member in bits for member in members)


@given(st.sets(numbers, max_size=50), numbers, numbers)
@example({5}, 5, 4)
@example({1, 2, 3}, 4, 0)
def test_ahead_counts_those_between_the_cursor_and_you_who_stayed(ended: set[int], number: int, cursor: int) -> None:
    bits = Bits()
    for member in ended:
        bits.add(member)
    between = set(range(cursor + 1, number)) - ended
    assert ahead(number, cursor, bits) == len(between)
