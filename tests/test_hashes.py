"""Hashes are numbered as a dict of lists would do it, in a tenth of the room."""

import random
import tracemalloc

from code_envs.hashes import HashTable, hash_of


def test_numbers_are_found_in_the_order_of_adding():
    dice, table, expected = random.Random(1), HashTable(), {}
    for number in range(5000):  # some come again, and some share all of their low bits
        code = dice.choice([hash_of(str(dice.randrange(3000))), dice.randrange(20) << 40])
        assert list(table.find(code)) == expected.get(code, [])
        assert (code in table) == (code in expected)
        assert table.add(code) == number
        expected.setdefault(code, []).append(number)
    assert len(table) == 5000
    assert all(list(table.find(code)) == numbers for code, numbers in expected.items())


def test_an_entry_takes_a_few_bytes():
    table = HashTable()
    tracemalloc.start()
    for number in range(50_000):
        table.add(hash_of(str(number)))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 50_000 * 24


def test_a_hash_is_the_same_in_every_process():
    assert (hash_of("chain 0"), hash_of("\ud800")) == (0x58FCF07B6C95210, 0xCD1A92EFEC30B7E9)
