"""`cupy._core`, of which precision is set."""

from . import _routines_linalg
