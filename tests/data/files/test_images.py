"""Many files to one array: every row is filled exactly once."""

import pytest
from data.making import encoded, image_files, noise

from tinybar.data.files import decoder_pool
from tinybar.data.files import images as module
from tinybar.data.files.images import decode

PNG = encoded(noise(4, 3, 3))


@pytest.mark.parametrize(
    ("indices", "message"), [([0, 1, 1], "was read twice"), ([0, 2], "could not be found again")]
)
def test_contents_that_do_not_match_the_files(tmp_path, indices, message):
    """The array is allocated with `empty`: an unfilled row would be uninitialised memory."""
    files = image_files(tmp_path, *[encoded(noise(4, 3, 3))] * 3)
    with pytest.raises(ValueError, match=rf"image '.*001\.png' {message}"):
        decode(files, contents=lambda: ((index, files[0].path) for index in indices))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("damaged", [2, 10, 13])
def test_all_damaged_images_are_named_up_to_ten_and_counted(
    tmp_path, monkeypatch, processes, damaged
):
    """Of several kinds; the first image is one of them."""
    monkeypatch.setattr(decoder_pool, "MIN_IMAGES", 1)
    monkeypatch.setattr(decoder_pool, "processors", lambda: processes)
    kinds = [b"", b"no image", PNG[:-30], encoded(noise(4, 3).astype("u2"))]
    contents = [kinds[k // 3 % 4] if k % 3 == 0 and k < 3 * damaged else PNG for k in range(40)]
    with pytest.raises(ValueError, match=f"^{damaged} of 40 images cannot be used: ") as caught:
        decode(image_files(tmp_path, *contents))
    message = str(caught.value)
    assert "\n" not in message
    for k in range(0, 3 * damaged, 3):
        assert (f"/{k:03}.png" in message) == (k < 30)
    assert ("; and 3 more" in message) == (damaged == 13)
    for reason in ("is empty (0 bytes)", "is not a readable JPEG or PNG", "cannot decode", "I;16"):
        assert (reason in message) or damaged == 2


def test_contents_in_memory_are_few_and_small(tmp_path):
    """An archive of large photographs is not read 256 at a time."""
    sizes = [module.CHUNK_BYTES // 2] * 3 + [1] * 5
    asked = []

    def contents():
        for k, size in enumerate(sizes):
            asked.append(k)
            yield 7 - k, range(size)  # as long as a content of that size

    chunks = module._chunks(contents(), most=4)
    assert [k for k, _ in next(chunks)] == [6, 7]
    assert asked == [0, 1]
    assert [[k for k, _ in chunk] for chunk in chunks] == [[2, 3, 4, 5], [0, 1]]
