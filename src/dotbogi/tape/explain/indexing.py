"""Indexing that writes: what is put into places, one over the other or added up; and the places themselves."""

from __future__ import annotations

import numpy as np

from dotbogi.language import _
from dotbogi.tape.arithmetic import REDUCTION, Arithmetic, Elements, Group, Numbers, unexplained
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.accumulation import index_put_accumulated, put_accumulated
from dotbogi.tape.explain.rearrangements import Rearrangement, moved
from dotbogi.tape.explain.reducing import argument_of

PUT = Rearrangement("y = x; y[index[i]] = v[i]", ("self", "values"))
PUT_FLAT = Rearrangement("y = x; y.flatten()[index[i]] = v[i]", ("self", "source"))
REPEATED = Rearrangement("y[…,n,…] = x[…,i,…] : Σ_{m<i} r[m] ≤ n < Σ_{m≤i} r[m]")
SCATTERED = Rearrangement("y = x; y[…,index[…,i,…],…] = v[…,i,…]", ("self", "src"))


@explains("index_put", "_index_put_impl", "_unsafe_index_put")
def index_put(question: Question) -> Arithmetic:
    """What was put here last, or what was here; with ``accumulate`` their sum (torch.Tensor.index_put_)."""
    return index_put_accumulated(question) if question.argument("accumulate") else moved(question, PUT)


@explains("put")
def put(question: Question) -> Arithmetic:
    """As :func:`index_put`, places counted in row-major order (torch.Tensor.put_)."""
    return put_accumulated(question) if question.argument("accumulate") else moved(question, PUT_FLAT)


@explains("scatter")
def scatter(question: Question) -> Arithmetic:
    """What was put here last, or what was here (torch.Tensor.scatter_)."""
    if "reduce" in question.operation.overload._overloadname:
        return unexplained(_("{name} has no explanation yet").format(name=question.operation.name))
    return moved(question, SCATTERED)


@explains("repeat_interleave")
def repeat_interleave(question: Question) -> Arithmetic:
    """Which element stands at a place when each is repeated so often: i for which Σ_{m<i} r ≤ place < Σ_{m≤i} r."""
    if "self" in question.operation.overload._overloadname:
        return moved(question, REPEATED)
    place = question.index[0]

    def result(repeats: Numbers) -> float:
        return float(np.searchsorted(np.cumsum(repeats), place, side="right"))

    repeats = Group("r", Elements.every(question.argument("repeats")))
    return Arithmetic(REDUCTION, "y[n] = i : Σ_{m<i} r[m] ≤ n < Σ_{m≤i} r[m]", (repeats,), result)


@explains("nonzero", "nonzero_static")
def nonzero(question: Question) -> Arithmetic:
    """A coordinate of the n-th element that is not zero, counted in row-major order (torch.nonzero)."""
    x = question.argument("self")
    number, axis = question.index
    elements = Elements.every(x)
    fill = float(argument_of(question, "fill_value", default=-1))

    def result(numbers: Numbers) -> float:
        found = np.flatnonzero(numbers)
        return float(elements.index[found[number], axis]) if number < len(found) else fill

    return Arithmetic(REDUCTION, "y[n] = i : x[i] ≠ 0, #{j ≤ i : x[j] ≠ 0} = n + 1", (Group("x", elements),), result)
