"""Random numbers by key: each depends on what it is for, never on a position in a stream.

The order of an epoch follows from (seed, epoch), a sample's draws from (seed, epoch,
sample, stream). So a resumed, a replayed and a distributed run draw the same, in
whichever batch, order or process a sample appears. All of it is integer arithmetic
of our own, the same on every platform and under every version of numpy and torch.
"""

import hashlib
import json
import operator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_MANTISSA = 24  # bits of a float32 in [0, 1)


def key(*parts: int | str) -> int:
    """Returns an integer in [0, 2⁶³) that stands for the parts, the same in every process and on every platform.

    Args:
        parts: what the key is for, such as ``key(seed, epoch, "order")``; ``1`` and ``"1"`` differ.

    Source: BLAKE2b, RFC 7693, over the parts as JSON in ASCII.
    """
    words = [part if isinstance(part, str) else operator.index(part) for part in parts]
    digest = hashlib.blake2b(json.dumps(words).encode("ascii"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def permutation(seed: int, epoch: int, n: int) -> Tensor:
    """Returns the order of an epoch, each of 0…n−1 once.

    The samples are sorted by a keyed hash; the hash is a bijection, so no two are equal
    and every sorting algorithm gives the same order.

    Args:
        seed: of the training.
        epoch: which, from 0.
        n: number of samples, ≥ 0.

    Returns:
        int64 tensor (n,).
    """
    hashes = _mix(np.arange(n, dtype=np.uint64), key(seed, epoch, "order"))  # (n,)
    return torch.from_numpy(np.argsort(hashes))


def uniform(seed: int, epoch: int, indices: Tensor, stream: str, count: int = 1) -> Tensor:
    """Draws uniform numbers for each sample by itself.

    Args:
        seed: of the training.
        epoch: which, from 0.
        indices: int64 tensor (B,) on the CPU, the samples' positions in their split.
        stream: what the numbers are for; other streams are independent.
        count: numbers per sample; a larger count continues the same numbers.

    Returns:
        float32 tensor (B, count), multiples of 2⁻²⁴ in [0, 1).
    Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators" (SplitMix64),
        with the sample in the place of the seed and the number's position in that of the counter.
    """
    samples = _mix(indices.numpy().view(np.uint64), key(seed, epoch, stream))  # (B,)
    bits = _mix(np.arange(count, dtype=np.uint64), samples[:, None])  # (B, count)
    fractions = (bits >> np.uint64(64 - _MANTISSA)).astype(np.float32)
    return torch.from_numpy(fractions * np.float32(2.0**-_MANTISSA))


def _mix(counters: NDArray[np.uint64], start: int | NDArray[np.uint64]) -> NDArray[np.uint64]:
    # SplitMix64's output for each counter; uint64 wraps around modulo 2⁶⁴.
    z = np.asarray(start, dtype=np.uint64) + (counters + np.uint64(1)) * _GAMMA
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))
