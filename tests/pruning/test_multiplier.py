"""The multiplier: what an interrupted run puts back is what it was. Its formula is audited."""

import json

import numpy as np

from tinybar.pruning.multiplier import Gains, Multiplier

GAINS = Gains(0.3, 2.0, 0.9)


def test_it_goes_on_from_json_to_the_last_bit():
    errors = np.random.default_rng(0).standard_normal(40)
    whole = parted = Multiplier(1.0)
    for error in errors:
        whole = whole.after(float(error), GAINS)
        parted = Multiplier(*json.loads(json.dumps(parted))).after(float(error), GAINS)
        assert parted == whole


def test_the_first_step_is_dual_ascent():
    assert Multiplier(1.0).after(0.5, GAINS) == (1.0 + 0.3 * 0.5, 0.5)
