"""`cupy.cuda.cublas`."""


def getVersion(handle: int) -> int:
    return 130000


def setMathMode(handle: int, mode: int) -> None:
    pass
