import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces.utils import flatten, flatten_space, unflatten
from gymnasium.vector.utils import batch_space, iterate

from code_envs.envs.spaces import TextSpace

TEXTS = ["", "plain", "def f(x):\n\treturn 'é'", "\x00\x1b[31m", "日本語 🐍", "\ud800 alone", "\u202eright to left"]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_inside_and_survives_flattening(text: str) -> None:
    space = TextSpace(40)
    assert text in space
    flat = flatten(space, text)
    assert flat in flatten_space(space)
    assert unflatten(space, flat) == text


@pytest.mark.parametrize("thing", [b"bytes", 3, None, ["a"], "x" * 41])
def test_other_types_and_longer_texts_are_outside(thing: object) -> None:
    assert thing not in TextSpace(40)


def test_samples_are_plain_and_follow_the_seed() -> None:
    first, second = TextSpace(1 << 20, seed=5), TextSpace(1 << 20, seed=5)
    samples = [first.sample() for _ in range(20)]
    assert samples == [second.sample() for _ in range(20)]
    assert len(set(samples)) > 15
    assert all(sample in first and len(sample) <= 64 for sample in samples)


def test_a_mask_chooses_length_and_letters() -> None:
    space = TextSpace(10, seed=0)
    mask = np.array([letter == "z" for letter in space.character_list], dtype=np.int8)
    assert space.sample(mask=(3, mask)) == "zzz"


def test_equality_copies_and_pickles() -> None:
    space = TextSpace(7, seed=3)
    assert space == TextSpace(7) != TextSpace(8)
    assert hash(space) == hash(TextSpace(7))
    assert space != gymnasium.spaces.Text(7)
    for twin in (copy.deepcopy(space), pickle.loads(pickle.dumps(space))):
        assert twin == space
        assert twin.sample() == TextSpace(7, seed=3).sample()


def test_a_batch_is_a_tuple_of_texts() -> None:
    batch = batch_space(TextSpace(40), 3)
    assert ("", "é", "\x00") in batch
    assert list(iterate(batch, ("a", "b", "c"))) == ["a", "b", "c"]
