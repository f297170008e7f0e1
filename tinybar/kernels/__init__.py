"""Kernels, fast twins of plain functions, and how they are called in their place."""

from .dispatch import accelerated

__all__ = ["accelerated"]
