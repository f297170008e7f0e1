"""`cupy.cuda.nvrtc`."""


def getVersion() -> tuple[int, int]:
    return 13, 0
