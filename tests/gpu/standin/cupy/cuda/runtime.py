"""`cupy.cuda.runtime`: one GPU."""

from ..standin import CUDARuntimeError, wait

__all__ = ["CUDARuntimeError"]
streamCaptureModeGlobal, streamCaptureModeThreadLocal, streamCaptureModeRelaxed = 0, 1, 2


def getDeviceCount() -> int:
    return 1


def getDevice() -> int:
    return 0


def getDeviceProperties(device: int) -> dict:
    return {
        "name": b"stand-in for a GPU",
        "totalGlobalMem": 80 << 30,
        "major": 9,
        "minor": 0,
        "multiProcessorCount": 132,
    }


def driverGetVersion() -> int:
    return 13000


def runtimeGetVersion() -> int:
    return 13000


def memGetInfo() -> tuple[int, int]:
    return 72 << 30, 80 << 30


def deviceSynchronize() -> None:
    wait("deviceSynchronize")
