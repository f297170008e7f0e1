"""Convolution: the primitive with its definition, and the algorithms that compute it."""

from .convolution import ALGORITHMS, CHOICES, choose_algorithm, conv2d, use_algorithm

__all__ = ["ALGORITHMS", "CHOICES", "choose_algorithm", "conv2d", "use_algorithm"]
