"""Python in a process of its own."""

import json
import os
import subprocess
import sys

SETTINGS = ("TINYBAR_OPENBLAS", "OPENBLAS_CORETYPE", "TINYBAR_MALLOC", "GLIBC_TUNABLES")


def in_a_fresh_process(code: str, **environ: str):
    """The JSON that `code` prints; no setting of BLAS or the allocator but those in `environ`."""
    clean = {k: v for k, v in os.environ.items() if k not in SETTINGS and "MALLOC_" not in k}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
