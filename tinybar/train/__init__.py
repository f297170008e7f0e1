"""A run: its options, its stages, its folder and its result.

The package is also the function `tinybar.train`, which has the same name: see `session.train`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .session import Result


class _Callable(ModuleType):
    def __call__(self, **options: Any) -> Result:
        from .session import train

        return train(**options)


sys.modules[__name__].__class__ = _Callable
