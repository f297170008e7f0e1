"""MNIST [LeCun et al. 1998] and Fashion-MNIST [Xiao et al. 2017]: four idx files each."""

from pathlib import Path

from ...runtime.files import reading
from ..augmentation import STANDARD, Augmentation
from ..dataset import Dataset
from ..files.download import RemoteFile, find_or_download
from ..files.idx import read_split
from ..image_folder import ImageOptions
from ..registry import dataset
from .digits import CLASSES as DIGITS

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
MNIST_MD5 = (
    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "d53e105ee54ea40749a09fcbcd1e9432",
    "9fb629c4189551a2d022fa330f9573f3",
    "ec29112dd5afa0611ce80d1b7f02629c",
)
FASHION_URL = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
FASHION_MD5 = (
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79",
    "bb300cfdad3c16e7a12a480ee83cd310",
)
FASHION_DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # of its package dataset-fashion-mnist
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@dataset("mnist")
def mnist(data_dir: Path, options: ImageOptions) -> Dataset:
    """60,000 training and 10,000 test images, 28x28, grey."""
    folders = data_dir / "mnist", data_dir
    augmentation = Augmentation(pad=4)  # digits have no mirror image
    return _load("mnist", DIGITS, augmentation, MNIST_URL, MNIST_MD5, folders)


@dataset("fashion-mnist")
def fashion_mnist(data_dir: Path, options: ImageOptions) -> Dataset:
    """60,000 training and 10,000 test images, 28x28, grey."""
    folders = data_dir / "fashion-mnist", data_dir, FASHION_DEBIAN
    return _load("fashion-mnist", FASHION_CLASSES, STANDARD, FASHION_URL, FASHION_MD5, folders)


def _load(
    name: str,
    classes: tuple[str, ...],
    augmentation: Augmentation,
    url: str,
    md5: tuple[str, ...],
    folders: tuple[Path, ...],
) -> Dataset:
    remotes = [RemoteFile(url + file, sum_) for file, sum_ in zip(FILES, md5, strict=True)]
    paths = [find_or_download(remote, folders) for remote in remotes]
    splits = read_split(*paths[:2]), read_split(*paths[2:])
    with reading(paths[0].parent):
        return Dataset(name, classes, *splits, augmentation)
