import math
import pickle
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dotbogi.errors import CheckpointError
from dotbogi.store.state import from_bytes, to_bytes

DTYPES = st.sampled_from(
    [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool, torch.uint8]
)
TENSORS = st.builds(
    lambda seed, shape, dtype: (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 9).to(dtype),
    st.integers(0, 999),
    st.lists(st.integers(0, 3), max_size=4),
    DTYPES,
)
TEXTS = st.text(max_size=6)
LEAVES = st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats() | TEXTS | TENSORS
STATES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(TEXTS | st.integers(0, 99), inner, max_size=3)
    ),
    max_leaves=12,
)


def identical(first, second):
    if type(first) is not type(second):
        return False
    if isinstance(first, torch.Tensor):
        # Through int bits: NaN is not equal to itself, and 0 is equal to −0.
        return (
            first.dtype == second.dtype
            and first.stride() == second.stride()
            and first.tolist().__repr__() == second.tolist().__repr__()
        )
    if isinstance(first, float):
        return repr(first) == repr(second)
    if isinstance(first, dict):
        return list(first) == list(second) and all(identical(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(identical, first, second))
    return first == second


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(TEXTS, STATES, max_size=4))
def test_any_state_comes_back_bit_by_bit(state):
    assert identical(from_bytes(to_bytes(state)), state)


@pytest.mark.parametrize(
    "name", ["SGD", "Adam", "AdamW", "Adagrad", "RMSprop", "Adadelta", "NAdam", "RAdam", "Adafactor"]
)
def test_an_optimizer_goes_on_as_if_nothing_had_been(name):
    def trained(steps, state=None):
        torch.manual_seed(0)
        model = nn.Linear(5, 3)
        optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.1)
        if state is not None:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.ones(2, 5)).square().sum().backward()
            optimizer.step()
        return {"model": model.state_dict(), "optimizer": optimizer.state_dict()}

    resumed = trained(2, from_bytes(to_bytes(trained(3))))
    assert torch.equal(resumed["model"]["weight"], trained(5)["model"]["weight"])


def test_memory_format_and_shared_tensors_are_kept():
    images = torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    back = from_bytes(to_bytes({"images": images, "again": images}))
    assert back["images"].is_contiguous(memory_format=torch.channels_last)
    assert back["again"].data_ptr() == back["images"].data_ptr()


def test_random_states_and_ordered_dicts_are_taken():
    state = {"torch": torch.get_rng_state(), "ordered": OrderedDict(a=1), "nan": math.nan}
    back = from_bytes(to_bytes(state))
    assert torch.equal(back["torch"], state["torch"])
    assert type(back["ordered"]) is OrderedDict


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.float64(1), r"state\['a'\]\[1\]\['b'\] is of type numpy.float64"),
        (np.ones(2), r"is of type numpy.ndarray"),
        ({1, 2}, r"is of type builtins.set"),
        (defaultdict(int), r"is of type collections.defaultdict"),
        (lambda: 0, r"is of type builtins.function"),
    ],
)
def test_what_could_be_written_but_not_read_is_refused_on_writing(value, message):
    with pytest.raises(CheckpointError, match=message):
        to_bytes({"a": [0, {"b": value}]})


class _Attack:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


def test_a_pickle_is_never_executed(tmp_path):
    target = tmp_path / "executed"
    attack = {"weights": _Attack(target)}
    torch.save(attack, tmp_path / "state.pt")
    for content in (pickle.dumps(attack), pickle.dumps(attack, protocol=0), (tmp_path / "state.pt").read_bytes()):
        with pytest.raises(CheckpointError, match="no state that can be read without executing it") as caught:
            from_bytes(content)
        assert "a pickle is never executed" in caught.value.fix
    assert not target.exists()
    pickle.loads(pickle.dumps(attack))["weights"].close()
    assert target.exists(), "the attack would have worked"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_cut_states_are_refused(data):
    content = to_bytes({"a": torch.ones(10), "b": [1, 2.5, "text"]})
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(CheckpointError, match="no state that can be read"):
        from_bytes(content[:cut])


def test_a_state_that_is_no_dict_is_refused(tmp_path):
    torch.save([1], tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match="of type list, not a dict"):
        from_bytes((tmp_path / "list.pt").read_bytes())
