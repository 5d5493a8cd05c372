import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dotbogi.data.randomness import key, permutation, uniform

SEEDS = st.integers(0, 2**63 - 1)


def splitmix64(state: int, count: int) -> list[int]:
    """The published generator, word for word, in Python's own integers."""
    outputs: list[int] = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        outputs.append(z ^ (z >> 31))
    return outputs


def test_splitmix64_reference_is_the_published_one():
    # First outputs for seed 1234567: https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64
    assert splitmix64(1234567, 3) == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_key_is_pinned():
    assert key() == 7184008945222730424
    assert key(0, 0, "order") == 3232186265928447189
    assert key(2**63 - 1, "그림") == 8050188313628405713


def test_key_separates_parts_and_types():
    keys = [
        key(1, 2),
        key(12),
        key("1", 2),
        key("12"),
        key(2, 1),
        key("1, 2"),
        key(1, 2, ""),
        key(-1, 2),
    ]
    assert len(set(keys)) == len(keys)


def test_key_takes_integers_of_numpy_and_torch_for_what_they_are():
    assert key(np.int64(7), "x") == key(7, "x") == key(torch.tensor(7), "x")


def test_key_refuses_a_fraction():
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        key(0.5)  # type: ignore[arg-type]


@given(st.lists(st.integers() | st.text()))
def test_key_has_63_bits(parts: list[int | str]):
    assert 0 <= key(*parts) < 2**63


@given(SEEDS, st.integers(0, 1000), st.integers(0, 300))
def test_permutation_has_each_index_once(seed: int, epoch: int, n: int):
    order = permutation(seed, epoch, n)
    assert order.dtype == torch.int64
    assert torch.equal(order.sort().values, torch.arange(n))


def test_permutation_sorts_the_published_generators_numbers():
    hashes = splitmix64(key(8, 3, "order"), 200)
    assert permutation(8, 3, 200).tolist() == sorted(range(200), key=hashes.__getitem__)


def test_permutation_is_pinned():
    assert permutation(0, 0, 10).tolist() == [4, 2, 9, 8, 7, 1, 0, 5, 6, 3]


def test_permutation_depends_on_seed_and_epoch():
    orders = [tuple(permutation(seed, epoch, 50).tolist()) for seed in range(3) for epoch in range(3)]
    assert len(set(orders)) == 9


def test_permutation_puts_each_sample_everywhere_equally_often():
    n, epochs = 10, 4000
    counts = torch.zeros(n, n)
    for epoch in range(epochs):
        counts[torch.arange(n), permutation(5, epoch, n)] += 1
    chi_squared = ((counts - epochs / n) ** 2 / (epochs / n)).sum().item()
    assert 50 < chi_squared < 126.1  # (n − 1)² = 81 degrees of freedom; 126.1 is passed once in 1000 times


def test_permutations_of_consecutive_epochs_are_unrelated():
    n = 20_000
    first, second = permutation(0, 0, n).double(), permutation(0, 1, n).double()
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1].item()) < 4 / n**0.5


def test_uniform_follows_the_published_generator():
    indices = torch.tensor([3, 0, 77])
    drawn = uniform(11, 2, indices, "crop", 4)
    for row, index in enumerate(indices.tolist()):
        sample = splitmix64(key(11, 2, "crop"), index + 1)[-1]
        assert drawn[row].tolist() == [(bits >> 40) / 2**24 for bits in splitmix64(sample, 4)]


@given(
    SEEDS,
    st.integers(0, 99),
    st.lists(st.integers(0, 2**62), min_size=1, max_size=40),
    st.integers(1, 6),
    st.data(),
)
def test_a_samples_draws_do_not_depend_on_its_batch(
    seed: int, epoch: int, indices: list[int], count: int, data: st.DataObject
):
    whole = uniform(seed, epoch, torch.tensor(indices), "flip", count)  # (B, count)
    assert whole.shape == (len(indices), count) and whole.dtype == torch.float32
    assert bool(((whole >= 0) & (whole < 1)).all())
    chosen = data.draw(st.lists(st.integers(0, len(indices) - 1), min_size=1))
    part = uniform(seed, epoch, torch.tensor(indices)[chosen], "flip", count + 3)
    assert torch.equal(part[:, :count], whole[chosen])


@pytest.mark.parametrize("axis", ["sample", "count", "epoch", "seed"])
def test_uniform_is_uniform_along_each_part_of_its_key(axis: str):
    n = 20_000
    drawn = {
        "sample": lambda: uniform(1, 2, torch.arange(n), "s"),
        "count": lambda: uniform(1, 2, torch.tensor([9]), "s", n),
        "epoch": lambda: torch.cat([uniform(1, epoch, torch.tensor([9]), "s") for epoch in range(n)]),
        "seed": lambda: torch.cat([uniform(seed, 2, torch.tensor([9]), "s") for seed in range(n)]),
    }[axis]().flatten()
    assert kolmogorov_smirnov(drawn) < 1.95 / n**0.5  # passed once in 1000 times
    lag = torch.corrcoef(torch.stack([drawn[:-1], drawn[1:]]))[0, 1].item()
    assert abs(lag) < 4 / n**0.5


def kolmogorov_smirnov(drawn: torch.Tensor) -> float:
    n = len(drawn)
    ordered = drawn.double().sort().values
    steps = torch.arange(n, dtype=torch.float64) / n
    return torch.maximum((ordered - steps).abs(), (ordered - steps - 1 / n).abs()).max().item()


def test_pairs_of_draws_fill_the_square():
    n, cells = 40_000, 16
    drawn = uniform(3, 0, torch.arange(n), "pairs", 2)
    cell = (drawn * cells).long() @ torch.tensor([cells, 1])
    counts = torch.bincount(cell, minlength=cells**2).double()
    chi_squared = ((counts - n / cells**2) ** 2 / (n / cells**2)).sum().item()
    assert 170 < chi_squared < 331  # 255 degrees of freedom; 331 is passed once in 1000 times


def test_streams_seeds_and_epochs_are_uncorrelated():
    n = 20_000
    keys = [(0, 0, "a"), (0, 0, "b"), (0, 1, "a"), (1, 0, "a"), (1, 1, "a")]
    drawn = torch.stack([uniform(seed, epoch, torch.arange(n), stream)[:, 0] for seed, epoch, stream in keys])
    off_diagonal = torch.corrcoef(drawn) - torch.eye(len(keys))
    assert off_diagonal.abs().max().item() < 4.5 / n**0.5


def test_another_process_draws_the_same():
    script = (
        "import torch; from dotbogi.data.randomness import key, permutation, uniform; "
        "print(key(4, 'x'), permutation(4, 1, 9).tolist(), uniform(4, 1, torch.arange(3), 's', 2).tolist())"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    here = f"{key(4, 'x')} {permutation(4, 1, 9).tolist()} {uniform(4, 1, torch.arange(3), 's', 2).tolist()}"
    assert run.stdout.strip() == here
