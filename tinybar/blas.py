"""BLAS settings, made before NumPy is loaded."""


def prepare() -> None:
    """Choose the OpenBLAS kernels; see the full form."""


def processor_name() -> str:
    return "cpu"
