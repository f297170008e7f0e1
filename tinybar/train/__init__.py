"""A run: its options, its stages, its folder and its result.

The package is also the function `tinybar.train`, which has the same name: see `session.train`.
"""

import sys
from types import ModuleType


class _Callable(ModuleType):
    def __call__(self, **options):
        from .session import train

        return train(**options)


sys.modules[__name__].__class__ = _Callable
