"""The data sets that have a name. Importing a module here registers its data sets."""

from . import cifar, digits, mio_tcd, mnist  # noqa: F401
