"""The draw is uniform, can be recomputed by anybody, and depends on nothing but its published parts."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter

from app.domain import draw

SEED = bytes(range(32))


def naive_order(seed: bytes, root: bytes, entries: int) -> list[int]:
    """The order as the docstring of the module says it, written a second time by its words alone."""
    key = hmac.new(seed, root, hashlib.sha256).digest()
    words: list[int] = []
    counter = 0
    order = list(range(1, entries + 1))
    for i in range(entries, 1, -1):
        while True:
            if not words:
                block = hashlib.sha256(key + counter.to_bytes(8, "big")).digest()
                words = [int.from_bytes(block[at : at + 8], "big") for at in (0, 8, 16, 24)]
                counter += 1
            word = words.pop(0)
            if word < 2**64 - 2**64 % i:
                break
        order[i - 1], order[word % i] = order[word % i], order[i - 1]
    return order


def naive_leaf(secret: bytes, entry: int, holder: bytes) -> bytes:
    """A leaf by the words of the module."""
    stream = hashlib.shake_128(secret + ((entry - 1) // 256).to_bytes(8, "big")).digest(4096)
    at = (entry - 1) % 256 * 16
    return hashlib.sha256(b"\0" + entry.to_bytes(8, "big") + stream[at : at + 16] + holder).digest()


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is defined: by halves."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\1" + naive_root(leaves[:half]) + naive_root(leaves[half:])).digest()


def test_the_order_is_what_its_description_says() -> None:
    for entries in (0, 1, 2, 3, 7, 100, 1000):
        root = hashlib.sha256(b"%d" % entries).digest()
        assert draw.order_of(draw.key_of(SEED, root), entries).tolist() == naive_order(SEED, root, entries)


def test_a_word_that_would_favour_some_is_passed_over() -> None:
    """2^64 words cannot be shared evenly by three: the last one is nobody's."""
    words = [2**64 - 1, 2, 1]
    assert draw.shuffled(3, iter(words)).tolist() == [1, 2, 3]
    assert draw.shuffled(3, iter([2**64 - 2, 1])).tolist() == [1, 2, 3]


def test_the_order_of_a_known_seed_stays_what_it_was() -> None:
    root = draw.root_of(draw.leaves_of(SEED, [b"h" * 22] * 4 + [b""]))
    assert draw.commitment_of(SEED).hex() == "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd"
    assert (root.hex(), draw.order_of(draw.key_of(SEED, root), 5).tolist()) == (
        "7a6b7036d44540d2d31c777ec400a17243fc0483aae639b2da72b8feaf857ef0",
        [3, 5, 2, 4, 1],
    )


def test_the_leaves_are_what_their_description_says() -> None:
    holders = [b"%022d" % n if n % 3 else b"" for n in range(1, 601)]
    expected = [naive_leaf(SEED, entry, holder) for entry, holder in enumerate(holders, 1)]
    assert draw.leaves_of(SEED, holders) == expected


def test_the_root_is_that_of_the_standard() -> None:
    for size in range(20):
        leaves = draw.leaves_of(SEED, [b""] * size)
        assert len(leaves) == size
        assert draw.root_of(leaves) == naive_root(leaves)


def test_every_order_comes_as_often_as_every_other() -> None:
    """Chi-square over the 24 orders of four entries: 41.6 is exceeded by chance in one of a hundred runs."""
    seeds, orders = 4800, 24
    counts = Counter(tuple(draw.order_of(draw.key_of(seed_of(n), b""), 4)) for n in range(seeds))
    expected = seeds / orders
    assert len(counts) == orders
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 41.6


def test_no_entry_has_a_better_chance_for_being_first_or_last_in() -> None:
    """Kolmogorov-Smirnov over 400 seeds: the greatest distance from even is above 1.63 / sqrt(n) once in a hundred."""
    seeds, entries = 400, 1000
    for entry in (1, 500, entries):
        ranks = sorted(
            draw.ranks_of(draw.order_of(draw.key_of(seed_of(n), b""), entries))[entry - 1] for n in range(seeds)
        )
        distance = max(abs(at / seeds - rank / entries) for at, rank in enumerate(ranks, 1))
        assert distance < 1.63 / seeds**0.5


def seed_of(n: int) -> bytes:
    return hashlib.sha256(b"seed %d" % n).digest()


def test_the_tables_are_each_other_s_inverse_and_survive_packing() -> None:
    order = draw.order_of(draw.key_of(SEED, b""), 1000)
    ranks = draw.ranks_of(order)
    assert [order[rank - 1] for rank in ranks] == list(range(1, 1001))
    assert draw.packed(order)[:4] == order[0].to_bytes(4, "big")
    assert draw.unpacked(draw.packed(order)) == order
