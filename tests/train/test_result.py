"""The result of a run; `test_run.py` holds its content."""

import numpy as np

from tinybar import nn
from tinybar.train.result import latencies


def test_latencies_are_measured_in_turn_in_evaluation_mode():
    calls = []

    class Counted(nn.Module):
        def forward(self, x):
            assert not self.training
            calls.append(self)
            return x @ x

    models = [Counted(), Counted()]
    found = latencies(models, np.ones((40, 40), np.float32), seconds=0.0)
    assert calls == models * 7  # two to warm up, five rounds
    assert all(milliseconds > 0 for milliseconds in found)
