"""The peers of benchmarks/compare.py compute what tinybar computes."""

import functools
import json
import subprocess
import sys
from unittest.mock import patch

import compare
import numpy as np
import pytest
from peers import PEERS

from tinybar import nn
from tinybar.bench import tinybar_steps as ours
from tinybar.bench.case import PARTS, Case, Convolution
from tinybar.bench.engines import ENGINES

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

from peers import torch_networks, torch_peer  # noqa: E402


def agree(found, expected, bound=1e-4):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound * max(1, np.abs(expected).max()))


def case(kind="infer", network="wrn-16-2", gated=False) -> Case:
    return Case(kind, network, (16, 12, 3), batch_size=8, gated=gated, threads=1)


@pytest.mark.parametrize("gated", [False, True])
def test_logits_in_evaluation(gated):
    one = case("infer", "wrn-16-2", gated)
    agree(torch_peer.prepare(one)().numpy(), ours.prepare(one)().numpy())


def test_sampled_gates_have_the_same_distribution():
    model, theirs = nn.HardConcrete(20000), torch_networks.Gate(20000)
    torch.manual_seed(0)
    with torch.no_grad():
        theirs.log_alpha.copy_(torch.from_numpy(model.log_alpha.data))
        z, w = model.sample().numpy(), theirs().numpy()
    for statistic in (np.mean, np.std, lambda a: (a == 0).mean(), lambda a: (a == 1).mean()):
        assert abs(statistic(z) - statistic(w)) < 0.02  # three standard errors or more


@pytest.mark.parametrize("network", ["wrn-10-1", "small"])
def test_losses_of_the_first_steps(network):
    one = case("step", network)
    step, theirs = ours.prepare(one), torch_peer.prepare(one)
    # Adam's first steps are signs: where a gradient is nearly zero, rounding decides.
    for bound in (1e-5, 1e-2, 2e-2):
        agree(theirs().item(), step().item(), bound)


def test_gated_steps_learn():
    step = torch_peer.prepare(case("step", "wrn-10-1", gated=True))
    losses = [step().item() for _ in range(30)]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


@pytest.mark.parametrize("network", ["wrn-10-1", "resnet-20", "small"])
@pytest.mark.parametrize("gated", [False, True])
def test_a_step_makes_all_its_arrays_on_its_device(network, gated):
    """On the device "meta", which computes nothing, as it would have to on a GPU."""
    if network == "small" and gated:
        pytest.skip("it has no gates")
    with patch.object(torch.optim, "Adam", functools.partial(unfused, torch.optim.Adam)):
        step = torch_peer.prepare(case("step", network, gated), "meta")
    assert step().device.type == "meta"


def unfused(adam, *arguments, fused):
    return adam(*arguments)


PEER = """
import importlib, json, numpy, sys
sys.path.insert(0, sys.argv[1])
from peers import PEERS
from tinybar.bench.case import Case
if PEERS[sys.argv[2]].lacks():
    sys.exit(77)
peer = importlib.import_module(PEERS[sys.argv[2]].module)
infer, step = (Case(kind, "small", (16, 12, 3), batch_size=8, threads=1)
               for kind in ("infer", "step"))
step = peer.prepare(step)
losses = [float(step()) for _ in range(3)]
print(json.dumps({"logits": numpy.asarray(peer.prepare(infer)()).tolist(), "losses": losses}))
"""


@pytest.mark.parametrize("name", [n for n, e in PEERS.items() if e.networks == ("small",)])
def test_the_small_network_of_other_engines(name):
    # In a process of its own: here, `autograd` is the folder of tests of that name.
    done = subprocess.run(
        [sys.executable, "-c", PEER, PEERS[name].folder, name],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip(f"{name} is not installed")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    agree(found["logits"], ours.prepare(case("infer", "small"))().numpy())
    step = ours.prepare(case("step", "small"))
    for loss, bound in zip(found["losses"], (1e-5, 1e-3, 1e-3), strict=True):
        agree(loss, step().item(), bound)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("part", PARTS)
def test_parts_of_a_convolution(part, stride):
    shapes = Convolution((2, 8, 8, 8), (3, 3, 8, 16), (stride, stride), (1, 1))
    found = torch_peer.prepare_convolution(shapes, part, threads=1)()
    expected = ours.prepare_convolution(shapes, part, 1, "reference")()
    if part == "forward":
        agree(found.permute(0, 2, 3, 1), expected[0])
        return
    gx, gweight, _ = found
    assert (gx is None) == (part == "weight") == (expected[0] is None)
    assert (gweight is None) == (part == "data") == (expected[1] is None)
    if gx is not None:
        agree(gx.permute(0, 2, 3, 1), expected[0])
    if gweight is not None:
        agree(gweight.permute(2, 3, 1, 0), expected[1])


def test_compare_is_tinybar_bench_with_the_peers(capsys):
    shape = ["wrn-10-1", "--image-shape", "8", "8", "3", "--batch-size", "4", "--threads", "1"]
    with patch.dict(ENGINES):
        assert compare.main([*shape, "--peers", "torch", "--seconds", "0.01"]) == 0
    out = capsys.readouterr().out
    assert "images/s of tinybar : this one" in out
    assert f"torch {torch.__version__}" in out
