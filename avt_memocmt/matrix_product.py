"""A matrix product that leaves the processors to the networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def product_on_one_thread(
    one: NDArray[np.float64], other: NDArray[np.float64]
) -> NDArray[np.float64]:
    """[n, m] x [m, k] -> [n, k], without the threads of NumPy's BLAS.

    After a product, those of OpenBLAS wait for the next one by running in a loop for 30 ms, in
    which the networks of PyTorch take up to four times as long. For small products between the
    steps of a stream.
    """
    return np.einsum("nm,mk->nk", one, other)
