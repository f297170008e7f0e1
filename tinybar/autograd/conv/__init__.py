"""Convolution: the primitive with its definition, and the algorithms that compute it."""

from .convolution import ALGORITHMS, choose_algorithm, conv2d

__all__ = ["ALGORITHMS", "choose_algorithm", "conv2d"]
