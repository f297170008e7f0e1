"""Named random streams.

All draws are made on the host: the same seed gives the same run on both devices, and what one part
of the program draws never shifts what another part sees. The streams are saved in checkpoints.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

_streams: dict[str, np.random.Generator] = {}
_seed = 0


def seed(value: int) -> None:
    """Restart every random stream from `value` (an integer, at least 0)."""
    global _seed
    _seed = _checked(value)
    _streams.clear()


def _checked(value) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"a seed is an integer >= 0, got {value!r}")
    return value


def stream(name: str) -> np.random.Generator:
    """The random stream called `name` ("init", "gates", "data", ...), independent of the others.

    Its draws depend on the seed and on its name alone.
    """
    if name not in _streams:
        key = zlib.crc32(name.encode())  # a fixed hash: `hash(str)` differs between processes
        _streams[name] = np.random.Generator(np.random.PCG64([_seed, key]))
    return _streams[name]


def streams_state() -> dict[str, Any]:
    """The state of all random streams, of plain numbers and strings (fit for JSON)."""
    states = {name: generator.bit_generator.state for name, generator in _streams.items()}
    return {"seed": _seed, "streams": states}


def restore_streams(state: dict[str, Any]) -> None:
    """Continue all random streams exactly where `streams_state` recorded them.

    Raises ValueError for anything else, and then leaves the streams as they are.
    """
    try:
        value = _checked(state["seed"])
        streams = {name: _generator(recorded) for name, recorded in state["streams"].items()}
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"not the state of random streams: {error!r}") from error
    seed(value)
    _streams.update(streams)


def _generator(recorded: dict[str, Any]) -> np.random.Generator:
    """The generator in that state, exactly: NumPy rounds what is no integer."""
    generator = np.random.Generator(np.random.PCG64(0))
    generator.bit_generator.state = recorded
    is_odd = recorded["state"]["inc"] % 2  # else it is no PCG64
    if generator.bit_generator.state != recorded or not is_odd:
        raise ValueError(f"no state of PCG64: {recorded}")
    return generator
