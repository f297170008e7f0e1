"""Arrays on the device: NumPy's behind a wall, which only `get` goes through."""

from __future__ import annotations

import functools
import mmap
from math import prod

import numpy as np

from . import standin
from ._list import DTYPES, LIST, absent, unsupported


@functools.cache
def device_dtype(dtype) -> np.dtype:
    """The dtype, in native byte order. ValueError for one that CuPy has not."""
    dtype = np.dtype(dtype).newbyteorder("=")
    if dtype.char not in DTYPES:
        raise ValueError(f"Unsupported dtype {dtype}")
    return dtype


class Flags:
    """All that CuPy's flags know."""

    def __init__(self, array: ndarray):
        flags = array._host.flags
        self.c_contiguous, self.f_contiguous = flags.c_contiguous, flags.f_contiguous
        self.owndata = array.base is None
        self.forc = self.c_contiguous or self.f_contiguous
        self.fnc = self.f_contiguous and not self.c_contiguous

    def __getitem__(self, name: str) -> bool:
        return getattr(self, name.lower())


class MemoryPointer:
    """Where an array begins."""

    def __init__(self, array: ndarray):
        from . import cuda

        self._array, self.ptr, self.device = array, array._host.ctypes.data, cuda.Device()
        self.device_id = self.device.id

    def memset_async(self, value: int, size: int, stream=None) -> None:
        """Set bytes."""
        host = self._array._host.reshape(-1).view(np.uint8)
        standin.launch("memset", lambda: host[:size].fill(value), size)


class ndarray:
    """`cupy.ndarray`. _host: the entries, a NumPy array that nothing else may see."""

    __slots__ = ("__weakref__", "_host", "base")
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        unsupported(memptr=memptr, strides=strides)
        self._host, self.base = allocate(shape, dtype, order), None
        if not standin.is_dry:
            poison(self._host)

    @classmethod
    def _of(cls, host: np.ndarray, base: ndarray | None) -> ndarray:
        """A view of the entries, which `base` owns."""
        view = cls.__new__(cls)
        view._host, view.base = host, base
        return view

    def _view(self, host: np.ndarray) -> ndarray:
        return self._of(host, self if self.base is None else self.base)

    def __getattr__(self, name: str):
        raise absent("ndarray", name, name in LIST["array"])

    # --- what it is

    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    strides = property(lambda self: self._host.strides)
    flags = property(Flags)
    data = property(MemoryPointer)
    device = property(lambda self: self.data.device)
    T = property(lambda self: self if self.ndim < 2 else self._view(self._host.T))

    @property
    def shape(self) -> tuple[int, ...]:
        return self._host.shape

    @shape.setter
    def shape(self, shape) -> None:
        self._host.shape = shape

    @property
    def __cuda_array_interface__(self) -> dict:
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (self.data.ptr, False)}

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[k] for k in range(len(self)))

    # --- the way to the host

    def get(self, stream=None, order="C", out=None, blocking=True) -> np.ndarray:
        """A copy on the host, which waits for it."""
        source = self._host
        if not source.flags["F_CONTIGUOUS" if order == "F" else "C_CONTIGUOUS"]:
            source = self.copy(order)._host
        if out is None:
            out = np.empty(self.shape, self.dtype, order)
        elif (out.shape, out.dtype) != (self.shape, self.dtype):
            raise TypeError(f"{self.dtype} {self.shape} into {out.dtype} {out.shape}")
        if not blocking:
            standin.queue(lambda: np.copyto(out, source))
            return out
        standin.read("get")
        np.copyto(out, source)
        return out

    def set(self, arr, stream=None) -> None:
        """Copy an array of the host."""
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.dtype != arr.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if self.shape != arr.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not (self.flags.forc):
            raise RuntimeError("Cannot set to non-contiguous array")
        upload(self._host, arr)

    def item(self):
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.get().item()

    def tolist(self):
        return self.get().tolist()

    def tobytes(self, order="C") -> bytes:
        return self.get().tobytes(order)

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError("The truth value of an array with other than one element is ambiguous")
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __complex__(self) -> complex:
        return complex(self.get())

    def __repr__(self) -> str:
        return repr(self.get())

    def __str__(self) -> str:
        return str(self.get())

    def __format__(self, spec: str) -> str:
        return format(self.get(), spec)

    def __reduce__(self):
        from . import array

        return array, (self.get(),)

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_function__(self, function, types, args, kwargs):
        import cupy

        module = function.__module__.partition(".")[2]
        found = getattr(cupy, function.__name__, None) if not module else None
        return NotImplemented if found is None else found(*args, **kwargs)

    # --- copies

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo) -> ndarray:
        return self.copy()

    def copy(self, order="C") -> ndarray:
        return self.astype(self.dtype, order)

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True) -> ndarray:
        unsupported(casting=casting, subok=subok)
        dtype, host = device_dtype(dtype), self._host
        layouts = {"C": host.flags.c_contiguous, "F": host.flags.f_contiguous}
        if not copy and dtype == self.dtype and layouts.get(order, True):
            return self
        made = new(self.shape, dtype)
        if order in "KAF" and not host.flags.c_contiguous:
            made._host = np.empty_like(host, dtype, order=order)
        copy_into(made._host, self._host)
        return made

    def fill(self, value) -> None:
        if isinstance(value, np.ndarray):
            if value.shape:
                raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
            value = value.item()
        elif isinstance(value, ndarray):
            raise TypeError("Unsupported type <class 'cupy.ndarray'>")
        host, value = self._host, np.asarray(value).astype(self.dtype)
        if self.size:
            name = "fill" if value != 0 or not host.flags.c_contiguous else "memset"
            standin.launch(name, lambda: host.fill(value), self.size)

    # --- views

    def view(self, dtype=None, type=None) -> ndarray:
        unsupported(type=type)
        return self._view(self._host.view() if dtype is None else self._host.view(dtype))

    def reshape(self, *shape, order="C", copy=None) -> ndarray:
        unsupported(copy=copy)
        if order == "F" or (order == "A" and self.flags.fnc):
            return self.T.reshape(*shape[::-1]).T
        shape = shape[0] if len(shape) == 1 and not np.isscalar(shape[0]) else shape
        wanted = np.broadcast_to(np.empty((), bool), self.shape).reshape(shape).shape
        try:
            return self._view(self._host.reshape(wanted, copy=False))
        except ValueError:  # it lies otherwise in memory
            made = new(wanted, self.dtype)
            copy_into(made._host.reshape(self.shape), self._host)
            return made

    def ravel(self, order="C") -> ndarray:
        turned = self
        if order == "K":  # in the order of memory
            turned = self.transpose(sorted(range(self.ndim), key=lambda k: -self.strides[k]))
        elif order == "F" or (order == "A" and self.flags.fnc):
            turned = self.T
        return (turned if turned.flags.c_contiguous else turned.copy()).reshape(-1)

    def flatten(self, order="C") -> ndarray:
        return self.copy().reshape(-1, order=order)

    def transpose(self, *axes) -> ndarray:
        return self._view(self._host.transpose(*axes))

    def swapaxes(self, axis1, axis2) -> ndarray:
        return self._view(self._host.swapaxes(axis1, axis2))

    def squeeze(self, axis=None) -> ndarray:
        return self._view(self._host.squeeze(axis))


ndarray.__module__ = "cupy"


def allocate(shape, dtype, order="C") -> np.ndarray:
    """Room for entries, counted. Of a dry run no page is touched, where they are many."""
    if type(shape) is not tuple:
        shape = (int(shape),) if np.isscalar(shape) else tuple(shape)
    size, dtype = prod(shape), device_dtype(dtype)
    if size:
        standin.allocate()
    if standin.is_capturing():
        return standin.kept(np.empty(shape, dtype, order))
    if standin.is_dry and size > standin.LARGE:
        pages = mmap.mmap(-1, size * dtype.itemsize)
        return np.frombuffer(pages, dtype).reshape(shape, order=order)
    return (np.zeros if standin.is_dry else np.empty)(shape, dtype, order)


def new(shape, dtype) -> ndarray:
    """An array that a kernel is about to write."""
    made = ndarray.__new__(ndarray)
    made._host, made.base = allocate(shape, dtype), None
    if standin.is_capturing():  # the kernel does not run yet
        poison(made._host)
    return made


def poison(host: np.ndarray) -> None:
    """Nothing is right by chance: NaN, or the largest integer."""
    kind = host.dtype.kind
    host.fill(np.nan if kind in "fc" else kind == "b" or np.iinfo(host.dtype).max)


def upload(target: np.ndarray, source: np.ndarray) -> None:
    """Copy from the host. A captured stream would copy the same address again, in every replay."""
    if not is_pinned(source):
        standin.wait("a copy from pageable memory")
    standin.count("copies", "")
    standin.queue(lambda: np.copyto(target, source, casting="unsafe"), target.size)


def is_pinned(array) -> bool:
    """Whether the memory is a PinnedMemoryPointer's."""
    from .cuda import PinnedMemoryPointer

    while array is not None and not isinstance(array, PinnedMemoryPointer):
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return array is not None


def copy_into(target: np.ndarray, source: np.ndarray) -> None:
    """One kernel that copies entry by entry, by any strides and to another dtype."""
    np.broadcast_shapes(target.shape, source.shape)
    if prod(target.shape):
        job = lambda: np.copyto(target, source, casting="unsafe")  # noqa: E731
        standin.launch("copy", job, target.size)
