"""The tree of layers: names, modes, conversion, and states that fit or are refused whole."""

import copy
import pickle

import numpy as np
import pytest

import tinybar as tb
from tinybar import autograd as ag
from tinybar import nn


class Pair(nn.Module):
    """A module with every kind of content."""

    def __init__(self):
        self.scale = nn.Parameter(np.ones(2, np.float32))
        self.count = np.zeros(3, np.int64)
        self.layers = [nn.Linear(2, 3), "not a module", nn.BatchNorm2d(3)]
        self.last = nn.Linear(3, 1)
        self.absent = None
        self.size = 7


class Nested(nn.Module):
    """Lists of modules that hold lists of modules."""

    def __init__(self):
        self.pairs = [Pair(), Pair()]


PARAMETERS = [
    "scale",
    "layers.0.weight",
    "layers.0.bias",
    "layers.2.gamma",
    "layers.2.beta",
    "last.weight",
    "last.bias",
]
BUFFERS = ["count", "layers.2.running_mean", "layers.2.running_var"]


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


def test_names_are_dotted_paths():
    assert [name for name, _ in Pair().named_parameters()] == PARAMETERS
    assert [name for name, _ in Pair().named_buffers()] == BUFFERS


def test_lists_within_lists_of_modules():
    names = [name for name, _ in Nested().named_parameters()]
    assert names == [f"pairs.{k}.{name}" for k in (0, 1) for name in PARAMETERS]
    assert list(Nested().state_dict()) == names + [
        f"pairs.{k}.{b}" for k in (0, 1) for b in BUFFERS
    ]


def test_parameters_are_the_named_ones_themselves():
    module = Pair()
    named = [parameter for _, parameter in module.named_parameters()]
    assert all(a is b for a, b in zip(module.parameters(), named, strict=True))
    assert all(p.requires_grad for p in named)


def test_modules_lists_parents_first():
    module = Nested()
    found = list(module.modules())
    assert found[0] is module
    assert found[1] is module.pairs[0]
    assert found[2] is module.pairs[0].layers[0]
    assert len(found) == 1 + 2 * 4


def test_modules_by_name():
    names = dict(Nested().named_modules())
    assert list(names)[:3] == ["", "pairs.0", "pairs.0.layers.0"]
    module = Nested()
    assert [part for _, part in module.named_modules()] == list(module.modules())
    for name, part in module.named_modules():
        parameters = [key for key, _ in part.named_parameters(f"{name}." if name else "")]
        assert set(parameters) <= set(dict(module.named_parameters()))


def test_modes_reach_every_module():
    module = Nested()
    assert all(part.training for part in module.modules())
    assert module.eval() is module
    assert not any(part.training for part in module.modules())
    assert module.train() is module
    assert all(part.training for part in module.modules())


def test_a_module_without_forward_says_so():
    with pytest.raises(TypeError, match=r"Pair defines no forward"):
        Pair()(1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_astype_converts_floats_and_leaves_integers(dtype):
    module = Pair()
    module.scale.grad = np.ones(2, np.float32)
    assert module.astype(dtype) is module
    for name, array in module.state_dict().items():
        assert array.dtype == (np.int64 if name == "count" else dtype), name
    assert module.scale.grad is None  # it would be of the old dtype


def test_state_survives_the_round_trip_bit_for_bit():
    rng = np.random.default_rng(0)
    source, target = Nested(), Nested()
    for parameter in source.parameters():
        parameter.data[...] = rng.standard_normal(parameter.shape)
    source.pairs[1].count[...] = [1, 2, 3]
    source.pairs[1].layers[2].running_var[...] = 0.3
    assert not same(source.state_dict(), target.state_dict())
    target.load_state_dict(source.state_dict())
    assert same(source.state_dict(), target.state_dict())


def test_the_state_is_a_copy_both_ways():
    module = Pair()
    state = module.state_dict()
    state["scale"][...] = 5
    assert (module.scale.data == 1).all()
    module.load_state_dict(state)
    state["scale"][...] = 6
    assert (module.scale.data == 5).all()


def test_loading_keeps_the_arrays_and_their_dtype():
    module = Pair()
    data = module.scale.data
    module.load_state_dict({k: v.astype(np.float64) for k, v in module.state_dict().items()})
    assert module.scale.data is data  # optimisers and views hold it
    assert data.dtype == np.float32


def broken_states():
    def without(state):
        del state["last.bias"]

    def with_one_more(state):
        state["other.weight"] = np.zeros(2)

    def of_wrong_shape(state):
        state["last.weight"] = state["last.weight"].T

    def that_would_broadcast(state):
        state["last.weight"] = np.zeros((1, 1))

    def with_nan(state):
        state["last.bias"][0] = np.nan

    def with_inf(state):
        state["layers.2.running_var"][0] = np.inf

    def too_large_for_float32(state):
        state["last.bias"] = np.array([1e300])

    def of_integers(state):
        state["last.bias"] = np.array([3])

    def with_a_negative_variance(state):
        state["layers.2.running_var"][1] = -0.5

    return [
        (of_integers, "last.bias has dtype float32, the state holds int64"),
        (with_a_negative_variance, "layers.2.running_var holds a negative variance: -0.5"),
        (without, "missing last.bias"),
        (with_one_more, "unknown other.weight"),
        (of_wrong_shape, r"last.weight has shape \(3, 1\), the state holds \(1, 3\)"),
        (that_would_broadcast, r"last.weight has shape \(3, 1\), the state holds \(1, 1\)"),
        (with_nan, "last.bias holds values that are not finite"),
        (with_inf, "layers.2.running_var holds values that are not finite"),
        (too_large_for_float32, "last.bias holds values that are not finite"),
    ]


@pytest.mark.parametrize(
    ("spoil", "message"), broken_states(), ids=lambda v: getattr(v, "__name__", "")
)
def test_a_state_that_does_not_fit_changes_nothing(spoil, message):
    module = Pair()
    before = module.state_dict()
    state = {name: array + 1 for name, array in before.items()}
    spoil(state)
    with pytest.raises(ValueError, match=message) as error:
        module.load_state_dict(state)
    assert "\n" not in str(error.value)
    assert same(module.state_dict(), before)


def test_missing_and_unknown_names_are_listed_together_and_cut_short():
    with pytest.raises(
        ValueError, match=r"missing count, last.bias, last.weight \.\.\.; unknown a"
    ):
        Pair().load_state_dict({"a": np.zeros(1)})


def test_gradients_arrive_at_the_parameters():
    module = Pair()
    ag.sum(module.scale * 3).backward()
    assert np.array_equal(module.scale.grad, [3, 3])


def test_a_parameter_is_a_copy():
    for array in (np.ones(2, np.float32), tb.Tensor(np.ones(2), requires_grad=True)):
        parameter = nn.Parameter(array)
        parameter.data[...] = 5
        kept = array if isinstance(array, np.ndarray) else array.data
        assert kept.tolist() == [1, 1]


class Tied(nn.Module):
    """One parameter under two names, and a module under two names."""

    def __init__(self):
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
        self.second.weight = self.first.weight
        self.again = self.first


def test_tied_weights_are_one_parameter_that_is_saved_under_every_name():
    module, other = Tied(), Tied()
    assert len(module.parameters()) == 3
    names = {"first.weight", "first.bias", "second.weight", "second.bias"}
    assert set(module.state_dict()) == names | {"again.weight", "again.bias"}
    optimizer = nn.Adam(module.parameters(), lr=0.5)
    before = module.first.weight.data.copy()
    ag.sum(module.first.weight * module.second.weight).backward()
    np.testing.assert_allclose(module.first.weight.grad, 2 * before)
    optimizer.step()  # once
    np.testing.assert_allclose(module.first.weight.data, before - 0.5 * np.sign(before), rtol=1e-4)
    other.load_state_dict(module.state_dict())
    assert same(other.state_dict(), module.state_dict())
    assert other.second.weight is other.first.weight
    module.astype(np.float64)
    assert {p.dtype for p in module.parameters()} == {np.dtype(float)}


def test_two_values_for_tied_weights_are_refused():
    module = Tied()
    state = module.state_dict()
    state["second.weight"] = state["second.weight"] + 1
    with pytest.raises(ValueError, match=r"first.weight and second.weight are one array"):
        module.load_state_dict(state)


def test_a_module_is_not_converted_to_integers():
    with pytest.raises(TypeError, match="floating dtype, not int64"):
        Pair().astype(int)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_network_is_copied_after_it_has_computed(copied):
    net = nn.wide_resnet(10, 1, 3, (8, 8, 1), nn.HardConcrete)
    x = tb.Tensor(np.ones((2, 8, 8, 1), np.float32))
    ag.sum(net(x)).backward()
    other = copied(net)
    assert same(other.state_dict(), net.state_dict())
    kept = [None if p.grad is None else p.grad.copy() for p in net.parameters()]
    ag.sum(other.eval()(x)).backward()
    optimizer = nn.Adam(other.parameters())
    optimizer.step()
    for p, q, grad in zip(net.parameters(), other.parameters(), kept, strict=True):
        assert not np.shares_memory(p.data, q.data)
        np.testing.assert_array_equal(p.grad, grad)
    assert not same(other.state_dict(), net.state_dict())


# --- how it looks ---------------------------------------------------------------------------------


class Named(nn.Module):
    def __init__(self):
        self.linear = nn.Linear(2, 3)
        self.parts = [nn.BatchNorm2d(4)]


def test_a_module_is_shown_as_a_tree_of_shapes_and_counts():
    assert repr(Named()) == (
        "Named, 17 parameters\n"
        "  linear: Linear weight (2, 3), bias (3,), 9 parameters\n"
        "  parts.0: BatchNorm2d gamma (4,), beta (4,), 8 parameters"
    )


def test_a_shared_parameter_is_counted_once():
    module = Named()
    module.again = module.linear
    assert repr(module).startswith("Named, 17 parameters\n")


def test_in_a_notebook_a_module_has_the_same_lines_with_names_escaped():
    module = Named()
    setattr(module, "<b>", nn.Linear(1, 1))
    page = module._repr_html_()
    assert "<div>linear: Linear weight (2, 3), bias (3,), 9 parameters</div>" in page
    assert "&lt;b&gt;: Linear" in page
    assert "<b>" not in page
    assert page.count("<details") == page.count("</details>") == 1
