"""Many files to one array: every row is filled exactly once."""

import pytest
from data.making import encoded, image_files, noise

from tinybar.data.files.images import decode


@pytest.mark.parametrize(
    ("indices", "message"), [([0, 1, 1], "was read twice"), ([0, 2], "could not be found again")]
)
def test_contents_that_do_not_match_the_files(tmp_path, indices, message):
    """The array is allocated with `empty`: an unfilled row would be uninitialised memory."""
    files = image_files(tmp_path, *[encoded(noise(4, 3, 3))] * 3)
    with pytest.raises(ValueError, match=rf"image '.*001\.png' {message}"):
        decode(files, contents=lambda: ((index, files[0].path) for index in indices))
