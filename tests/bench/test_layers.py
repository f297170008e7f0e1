"""`tinybar bench --layers`."""

from tinybar import pruning
from tinybar.bench.case import PARTS, Convolution
from tinybar.bench.layers import algorithms, chosen_algorithm, distinct

from .common import TINY, results, tiny


def test_every_convolution_is_timed_with_every_algorithm(tmp_path, capsys):
    facts = results(tmp_path, *TINY, "--peers", "", "--layers")
    names = {name for layer in facts["layers"] for name in layer["names"]}
    model = tiny().build()
    assert names == {layer.site.name for layer in pruning.hard_pruned(model)}
    total = sum(layer["flops"] * len(layer["names"]) for layer in facts["layers"])
    assert total == 4 * pruning.flops(model)
    for layer in facts["layers"]:
        tried = {entry["algorithm"] for entry in layer["times"]}
        assert layer["chosen"] in tried
        for entry in layer["times"]:
            assert all(entry[part]["median_ms"] > 0 for part in PARTS)
    assert "* tinybar's choice" in capsys.readouterr().out


def test_shapes_of_images_that_are_not_square():
    layers = distinct(tiny(image_shape=(9, 5, 1), batch_size=2))
    shapes = {name: shapes for shapes, names in layers.items() for name in names}
    assert shapes["stem"] == Convolution((2, 9, 5, 1), (3, 3, 1, 16), (1, 1), (1, 1))
    assert shapes["blocks.2.conv2"].x == (2, 3, 2, 64)
    assert shapes["blocks.2.shortcut"].output == (3, 2)
    assert Convolution.of(shapes["stem"].as_dict()) == shapes["stem"]


def test_only_algorithms_that_can_compute_a_shape_are_tried():
    strided = Convolution((2, 8, 8, 4), (3, 3, 4, 4), (2, 2), (1, 1))
    pointwise = Convolution((2, 8, 8, 4), (1, 1, 4, 4), (1, 1), (0, 0))
    assert "winograd" not in algorithms(strided)
    assert {"reference", "gather"} <= set(algorithms(strided))
    assert "pointwise" in algorithms(pointwise)
    assert chosen_algorithm(pointwise) in algorithms(pointwise)
