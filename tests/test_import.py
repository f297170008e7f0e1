"""`import tinybar` is light: NumPy alone, and the rest of the library's core with it."""

import subprocess
import sys

HEAVY = ["cupy", "matplotlib", "rich", "click", "safetensors", "threadpoolctl", "scipy", "PIL"]

BLOCK = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_heavy_is_imported():
    loaded = run("import sys, tinybar; print(*{name.partition('.')[0] for name in sys.modules})")
    assert "numpy" in loaded.split()
    assert not set(HEAVY) & set(loaded.split())


def test_of_the_test_blocked_modules_cannot_be_imported():
    for name in HEAVY:
        code = f"""
try:
    import {name}
except ModuleNotFoundError as error:
    print(error)
"""
        assert run(BLOCK + code).strip() == f"{name} is blocked"


def test_numpy_alone_is_enough_to_compute_train_and_prune():
    code = """
import numpy as np
import tinybar as tb
from tinybar import autograd as ag, nn, pruning

tb.use_device("auto")
tb.gradcheck(ag.sigmoid, np.linspace(-1, 1, 5))
model = nn.wide_resnet(10, 1, 3, (4, 4, 1), nn.HardConcrete)
optimizer = nn.Adam(model.parameters())
loss = ag.cross_entropy(model(tb.Tensor(np.ones((4, 4, 4, 1), np.float32))), np.arange(4) % 3)
loss.backward()
optimizer.step()
pruning.enforce_budget(model, pruning.COSTS["volume"], 1344 // 4)
print(pruning.volume(pruning.compact(model)) <= 1344 // 4)
"""
    assert run(BLOCK + code).split() == ["True"]


def test_the_public_names():
    import tinybar

    assert set(tinybar.__all__) >= {"Tensor", "no_grad", "use_device", "seed", "gradcheck"}
    assert all(hasattr(tinybar, name) for name in tinybar.__all__)
