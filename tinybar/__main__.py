"""`python -m tinybar` is the `tinybar` command."""

from .cli import entry

entry()
