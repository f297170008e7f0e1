"""`tb.load`: a saved network that reads images as it did in training."""

import io
from pathlib import Path

import numpy as np
import pytest
from data.making import in_folder, noise, tree
from PIL import Image

import tinybar as tb
from tinybar import data, nn
from tinybar.autograd import softmax
from tinybar.deploy.images import list_images
from tinybar.train.models import save_model


def saved(folder: Path, shape=(8, 8, 3), **options) -> tuple[Path, data.Dataset]:
    """A network with random weights for the images in `folder`/pets, and these."""
    in_folder(folder / "pets", tree(shape))
    dataset = data.load(folder / "pets", **options)
    tb.seed(3)
    save_model(folder / "net", nn.build("wrn-10-1", 2, dataset.image_shape), dataset)
    return folder / "net", dataset


def expected(path: Path, dataset: data.Dataset) -> np.ndarray:
    """The probabilities of the test images, as a run computes them."""
    network = tb.load(path).network
    return softmax(nn.predict(network, tb.Tensor(dataset.normalise(dataset.test.images)))).data


def test_what_it_says_of_itself(tmp_path):
    path, dataset = saved(tmp_path)
    predictor = tb.load(str(path))
    assert (predictor.classes, predictor.image_shape) == (("cat", "dog"), (8, 8, 3))
    assert not predictor.network.training
    assert np.array_equal(predictor.mean, dataset.mean)
    assert "8x8x3 to 2 classes" in repr(predictor)


@pytest.mark.parametrize("shape", [(8, 8, 3), (8, 8), (9, 6, 3)])
@pytest.mark.parametrize("image_size", [None, 5])
def test_all_ways_to_give_images_are_one(tmp_path, shape, image_size):
    path, dataset = saved(tmp_path, shape, image_size=image_size)
    predictor, wanted = tb.load(path), expected(path, dataset)
    files = [file.path for file in list_images([tmp_path / "pets" / "test"]).files]
    assert np.array_equal(predictor(files), wanted)
    assert np.array_equal(predictor(map(Path, files)), wanted)
    assert np.array_equal(predictor([Image.open(file) for file in files]), wanted)
    assert np.array_equal(predictor(dataset.test.images), wanted)
    assert np.array_equal(predictor(files[0]), predictor(Image.open(files[0])))
    np.testing.assert_allclose(predictor(files[0]), wanted[:1], atol=1e-6)
    assert predictor([]).shape == (0, 2)


def test_arrays_have_the_scale_of_the_data_set_and_files_that_of_files(tmp_path):
    digits = data.load("digits")
    save_model(tmp_path / "net", nn.build("wrn-10-1", 10, digits.image_shape), digits)
    predictor, (image, *_) = tb.load(tmp_path / "net"), digits.test.images
    picture = Image.fromarray(np.full((8, 8), 255, np.uint8))
    assert np.array_equal(predictor(picture), predictor(np.full((1, 8, 8, 1), 16, np.uint8)))
    wanted = softmax(nn.predict(predictor.network, tb.Tensor(digits.normalise(image[None])))).data
    assert np.array_equal(predictor(image[None]), wanted)


def test_photographs_are_turned_upright(tmp_path):
    path, _ = saved(tmp_path, (8, 8, 3), image_size=8)
    photograph = Image.fromarray(noise(12, 20, 3))
    turned, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # to be turned by 270 degrees
    photograph.save(turned, "PNG", exif=exif)
    upright = photograph.transpose(Image.Transpose.ROTATE_270)
    predictor = tb.load(path)
    assert np.array_equal(predictor(Image.open(turned)), predictor(upright))
    assert not np.array_equal(predictor(photograph), predictor(upright))


def test_what_is_no_image_is_refused(tmp_path):
    path, _ = saved(tmp_path)
    predictor = tb.load(path)
    (tmp_path / "note.jpg").write_text("no image")
    with pytest.raises(ValueError, match=r"note\.jpg' is not a readable JPEG or PNG"):
        predictor(tmp_path / "note.jpg")
    with pytest.raises(ValueError, match=r"cannot open image '.*none\.png'"):
        predictor([tmp_path / "none.png"])
    with pytest.raises(ValueError, match="image has mode F: expected 8 bits"):
        predictor(Image.new("F", (8, 8)))
    with pytest.raises(ValueError, match=r"takes images \(8, 8, 3\), got \(9, 8, 3\)"):
        predictor(noise(2, 9, 8, 3))
    with pytest.raises(TypeError, match=r"uint8 of shape \(N, H, W, C\), got float64"):
        predictor(np.zeros((2, 8, 8, 3)))
    with pytest.raises(TypeError, match=r"images must be paths, .* got a int"):
        predictor(3)


def test_what_holds_no_network_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        tb.load(tmp_path / "none")
    with pytest.raises(ValueError, match=r"not a run folder: it has no config\.toml"):
        tb.load(tmp_path)
    path, _ = saved(tmp_path)
    with pytest.raises(ValueError, match="needs the folder of a run"):
        tb.load(path, teacher=True)
