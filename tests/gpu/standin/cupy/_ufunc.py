"""Functions entry by entry, for the dtypes that CuPy's have."""

from __future__ import annotations

import functools

import numpy as np

from . import standin
from ._array import device_dtype, ndarray, new
from ._indexing import add_at, prepare, prepared, selected_shape, to_device
from ._list import LIST, unknown

WEAK = (bool, int, float, complex)  # they take the dtype of what is beside them


class ufunc:
    """`cupy.ufunc`. formula: what computes it on NumPy arrays, with the keyword `out`."""

    def __init__(self, name: str, types: str, formula=None):
        self.name, self.types = f"cupy_{name}", tuple(types.split())
        self.nin, self.nout = (len(part) for part in self.types[0].split("->"))
        self._formula = formula or getattr(np, name)
        self.__name__ = name

    def __call__(self, *args, out=None, dtype=None, casting="same_kind", **other):
        if other:
            raise TypeError(f"Wrong arguments {other}")
        if len(args) > self.nin:
            args, (out,) = args[: self.nin], args[self.nin :]
        if isinstance(out, tuple):
            (out,) = out
        takes, gives = self.loop(args, dtype)
        hosts = [
            arg._host if isinstance(arg, ndarray) else take.type(arg)
            for arg, take in zip(args, takes, strict=True)
        ]
        shapes = {host.shape for host in hosts} - {()}
        shape = np.broadcast_shapes(*shapes) if len(shapes) > 1 else (*shapes, ())[0]
        if out is None:
            out = new(shape, gives)
        elif not isinstance(out, ndarray):
            raise TypeError(f"return arrays must be of cupy.ndarray, not {type(out)}")
        elif not np.can_cast(gives, out.dtype, casting):
            raise TypeError(f"output of {gives} cannot be cast to {out.dtype} ({casting})")
        elif np.broadcast_shapes(shape, out.shape) != out.shape:
            raise ValueError(f"non-broadcastable output operand of shape {out.shape}, not {shape}")
        target = out._host
        if target.size:
            job = functools.partial(self._run, hosts, takes, target)
            standin.launch(self.__name__, job, target.size)
        return out

    def _run(self, hosts, takes, target) -> None:
        entries = [h.astype(take, copy=False) for h, take in zip(hosts, takes, strict=True)]
        self._formula(*entries, out=target, casting="unsafe")

    def loop(self, args, dtype=None) -> tuple[list[np.dtype], np.dtype]:
        """The dtypes of arguments and result: of the first loop that takes them (NEP 50)."""
        kinds = []
        for arg in args:
            if isinstance(arg, (ndarray, np.generic)):
                kinds.append(arg.dtype.char)
            elif type(arg) in WEAK:
                kinds.append(type(arg))
            else:
                raise TypeError(f"Unsupported type {type(arg)}")
        return _loop(self.name, self.types, tuple(kinds), dtype and device_dtype(dtype))

    def at(self, a, indices, b=None) -> None:
        """a[indices] += b, entries named twice adding up."""
        if self.__name__ != "add":
            raise unknown(f"{self.name}.at")
        if a.dtype.char not in "ifdeILQ":
            raise TypeError(f"scatter_add does not support {a.dtype}")
        parts = prepared(indices)
        arrays = [part for part in parts if isinstance(part, ndarray)]
        prepare(arrays)
        if not isinstance(b, ndarray):
            b = to_device(np.asarray(b), a.dtype)
        b = b.astype(a.dtype, copy=False)
        source = np.broadcast_to(b._host, selected_shape(a, parts))
        if source.size:
            standin.launch("scatter_add", lambda: add_at(a._host, parts, source), source.size)

    def __getattr__(self, name: str):
        raise unknown(f"{self.name}.{name}")

    def __repr__(self) -> str:
        return f"<ufunc '{self.name}'>"


@functools.cache
def _loop(name: str, types: tuple, kinds: tuple, dtype) -> tuple[list[np.dtype], np.dtype]:
    strong = [kind for kind in kinds if isinstance(kind, str)]
    given = [np.dtype(k) if isinstance(k, str) else np.result_type(k(0), *strong) for k in kinds]
    for text in types:
        takes, gives = ([np.dtype(c) for c in part] for part in text.split("->"))
        fits = all(map(np.can_cast, given, takes)) if dtype is None else gives[0] == dtype
        if fits:
            return takes, gives[0]
    raise TypeError(f"Wrong type ({', '.join(map(str, given))}) of arguments for {name}")


UFUNCS = {name: ufunc(name, types) for name, types in LIST["ufuncs"].items() if hasattr(np, name)}
UFUNCS["clip"] = ufunc("clip", " ".join(f"{c}{c}{c}->{c}" for c in "bBhHiIlLqQefd"))
UFUNCS["where"] = ufunc(
    "where",
    " ".join(f"?{c}{c}->{c}" for c in "?bBhHiIlLqQefdFD"),
    lambda mask, a, b, out, casting: np.copyto(out, np.where(mask, a, b), casting=casting),
)


def _binary(name: str, is_reflected: bool = False):
    def operate(self, other):
        if not isinstance(other, ndarray) and defers(other):
            return NotImplemented
        return UFUNCS[name](other, self) if is_reflected else UFUNCS[name](self, other)

    return operate


def _in_place(name: str):
    return lambda self, other: UFUNCS[name](self, other, self)


def defers(other) -> bool:
    """Whether the other operand's own method decides (NEP 13)."""
    try:
        return other.__array_ufunc__ is None
    except AttributeError:
        return getattr(other, "__array_priority__", 0) > ndarray.__array_priority__


ARITHMETIC = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide",
    "floordiv": "floor_divide", "mod": "remainder", "pow": "power", "and": "bitwise_and",
    "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "left_shift", "rshift": "right_shift",
}  # fmt: skip
COMPARISONS = {
    "lt": "less", "le": "less_equal", "eq": "equal", "ne": "not_equal", "gt": "greater",
    "ge": "greater_equal",
}  # fmt: skip
for _operator, _name in ARITHMETIC.items():
    setattr(ndarray, f"__{_operator}__", _binary(_name))
    setattr(ndarray, f"__r{_operator}__", _binary(_name, is_reflected=True))
    setattr(ndarray, f"__i{_operator}__", _in_place(_name))
for _operator, _name in COMPARISONS.items():
    setattr(ndarray, f"__{_operator}__", _binary(_name))
ndarray.__neg__ = lambda self: UFUNCS["negative"](self)
ndarray.__abs__ = lambda self: UFUNCS["absolute"](self)
ndarray.__invert__ = lambda self: UFUNCS["invert"](self)
ndarray.__pos__ = lambda self: self
ndarray.__hash__ = None


def array_ufunc(self, function, method, *inputs, **options):
    """A function of NumPy's with an array of the device is CuPy's of the same name."""
    found = UFUNCS.get(function.__name__)
    if method != "__call__" or found is None:
        return NotImplemented
    return found(*inputs, **options)


ndarray.__array_ufunc__ = array_ufunc
