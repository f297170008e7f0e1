"""Batch norm of a batch that ranks share out, beside that of the whole batch; prints the cases."""

import numpy as np

from tinybar import autograd as ag
from tinybar.autograd import Tensor
from tinybar.runtime import ranks

CASES = 40


def gathered(array, batch: int) -> np.ndarray:
    """The parts of all ranks as one array."""
    whole = np.zeros((batch, *array.shape[1:]), np.float64)
    whole[ranks.part()] = array
    ranks.add(whole)
    return whole


def results(function, x, gy, gamma, beta, *gate) -> list[np.ndarray]:
    """y, the gradients, and the running statistics. gate: may be left out."""
    tensors = [Tensor(array, requires_grad=True) for array in (x, gamma, beta, *gate)]
    running = np.zeros_like(gamma), np.ones_like(gamma)
    x, gamma, beta, *gates = tensors
    options = {"gate": gates[0]} if gates else {}
    y = function(x, gamma, beta, *running, training=True, **options)
    y.backward(gy)
    return [y.data, *(t.grad for t in tensors), *running]


def main():
    """Ranks draw the same cases, each takes its part."""
    ranks.start()
    rng = np.random.default_rng(0)
    for _ in range(CASES):
        batch, channels = int(rng.integers(ranks.size(), 20)), int(rng.integers(0, 5))
        shape = batch, *rng.integers(2, 4, 2).tolist(), channels
        dtype, tolerance = ((np.float32, 1e-5), (np.float64, 3e-13))[int(rng.integers(2))]
        scale, offset = 10.0 ** rng.integers(-2, 3, 2)  # the mean in standard deviations
        x = (scale * (offset + rng.standard_normal(shape))).astype(dtype)
        gy = rng.standard_normal(shape).astype(dtype)
        count = int(rng.integers(2, 4))  # gamma, beta, and perhaps a gate
        vectors = rng.standard_normal((count, channels)).astype(dtype)
        function = (ag.batch_norm, ag.batch_norm_relu)[int(rng.integers(2))]

        ranks.share_out(batch)
        part = ranks.part()
        y, gx, *sums, mean, var = results(function, x[part], gy[part], *vectors)
        for array in sums:
            ranks.add(array)
        found = [gathered(y, batch), gathered(gx, batch), *sums, mean, var]

        world, ranks._world = ranks._world, None  # alone, with the whole batch, in float64
        arrays = (a.astype(np.float64) for a in (x, gy, *vectors))
        expected = results(function, *arrays)
        ranks._world = world
        for a, b in zip(found, expected, strict=True):
            error, largest = (np.abs(array).max(initial=0) for array in (a - b, b))
            assert error <= tolerance * (1 + offset) * largest, (
                shape,
                dtype,
                offset,
                error,
                largest,
            )
    if ranks.rank() == 0:
        print(CASES, "cases")


if __name__ == "__main__":
    main()
