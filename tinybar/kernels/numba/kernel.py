"""How kernels are compiled, and how their work is shared among the cores."""

from __future__ import annotations

import numba

from ...runtime import threads

# "contract", "reassoc", "nsz": fuse and reorder sums, but keep NaN and infinity what they are.
OPTIONS = {"fastmath": {"contract", "reassoc", "nsz"}, "error_model": "numpy"}
kernel = numba.njit(nogil=True, cache=True, **OPTIONS)
inline = numba.njit(inline="always", **OPTIONS)


def share(work, n: int, numbers: int) -> list:
    """[work(first, last)] for ranges of n things, that are `numbers` numbers together."""
    count = 1 if threads.is_inside() else max(1, min(n, 16, numbers // threads.WORTH_A_CORE))
    return threads.each(lambda part: work(part.start, part.stop), threads.slices(n, count))
