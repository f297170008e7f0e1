"""An option, declared once: as a field of a dataclass such as `train.config.Config`.

    alpha: float = option(0.9, "Weight of the teacher.", group="Training", at_least=0, at_most=1)

The flag of the command line, the key in TOML, the check of a value, the help, and the tables of
docs/options.md are made from the declaration:

    python docs/options.py > docs/options.md
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import NoneType
from typing import Any, get_args, get_type_hints

KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
}
LARGEST = 1e30  # of a number: it will be multiplied by a float32
BOUNDS = {
    "at_least": operator.ge, "above": operator.gt, "at_most": operator.le, "below": operator.lt
}  # fmt: skip


def option(default: Any, help: str, **details: Any) -> Any:
    """A dataclass field that declares an option. details: further attributes of `Option`."""
    return dataclasses.field(default=default, metadata={"help": help, **details})


@dataclass(frozen=True)
class Option:
    """One option: a value of a type, or a fixed number of such values.

    field, type, count: name of the field, type and number of its values, from its annotation.
    default, help: as declared; the help is one or more sentences.
    group: the heading under which it is listed.
    metavar: stands for the value in the help.
    unset: says what is done where the default is None.
    choices: the allowed strings; looked up at every check, so that a registry can grow.
    renamed: former names of choices, with the present ones.
    at_least, above, at_most, below: bounds of every value.
    alias: a former name of the option, still understood.
    may_change: whether a run can go on with another value: the same networks come out.
    of_teacher: whether it decides what the teacher becomes.
    paper: the section of the paper that it is from, and the paper's value if it is another.
    """

    field: str
    type: type
    count: int
    default: object
    help: str
    group: str
    metavar: str = ""
    unset: str = "none"
    choices: Collection[str] | None = None
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    alias: str | None = None
    may_change: bool = False
    of_teacher: bool = False
    paper: str = ""

    @property
    def key(self) -> str:
        """Its name in TOML."""
        return self.field.rstrip("_")

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return flag_of(self.key)

    def check(self, value: Any) -> Any:
        """The value as the field holds it. Raises ValueError, naming the option, for another."""
        if value is None and self.default is None:
            return None
        is_list = self.count > 1 and isinstance(value, (list, tuple))
        values = tuple(value) if is_list else (value,)
        if len(values) != self.count or not all(map(self._has_type, values)):
            kind = KINDS[self.type]
            wanted = kind if self.count == 1 else f"{self.count} {kind.split()[-1]}s"
            raise ValueError(f"{self.flag} must be {wanted}, got {value!r}")
        values = tuple(map(str, values)) if self.type is str else values
        for entry in values:
            if isinstance(entry, str) and not _is_utf8(entry):
                raise ValueError(f"{self.flag} {entry!a} is not UTF-8, as config.toml must be")
            if self.choices is not None and entry not in self.choices:
                new = self.renamed.get(entry)
                fault = f"is now called {new!r}" if new else "is unknown"
                known = ", ".join(self.choices)
                raise ValueError(f"{self.flag} {entry!r} {fault}: use one of {known}")
            if not self._is_in_range(entry):
                each = "" if self.count == 1 else "each "
                raise ValueError(f"{self.flag} must {each}be {self.range or 'finite'}, got {entry}")
            if not isinstance(entry, (str, bool)) and abs(entry) > LARGEST:
                raise ValueError(f"{self.flag} must be within ±{LARGEST:g}, got {entry}")
        return values if self.count > 1 else values[0]

    def _has_type(self, value) -> bool:
        if isinstance(value, bool) or self.type is bool:  # True is an int, too
            return isinstance(value, bool) and self.type is bool
        accepted = {float: (int, float), str: (str, int, float)}  # a budget may be a number in TOML
        return isinstance(value, accepted.get(self.type, self.type))

    def _is_in_range(self, value) -> bool:
        bounds = ((fits, getattr(self, name)) for name, fits in BOUNDS.items())
        is_finite = not isinstance(value, float) or math.isfinite(value)
        return is_finite and all(bound is None or fits(value, bound) for fits, bound in bounds)

    @property
    def range(self) -> str:
        """The bounds in words; empty where there are none."""
        low = f"[{self.at_least}" if self.above is None else f"({self.above}"
        if self.at_most is not None:
            return f"in {low}, {self.at_most}]"
        if self.below is not None:
            return f"in {low}, {self.below})"
        if self.above is not None:
            return "positive" if self.above == 0 else f"above {self.above}"
        return "" if self.at_least is None else f"at least {self.at_least}"

    @property
    def values(self) -> str:
        """What stands for the value in the help: the choices, or a placeholder."""
        if self.choices is not None:
            return f"[{'|'.join(self.choices)}]"
        return self.metavar or " ".join(self.count * [{int: "N", float: "X"}.get(self.type, "")])

    @property
    def default_and_range(self) -> str:
        """The default, or what None stands for in parentheses, and the bounds if there are any."""
        default: Any = self.default
        default = " ".join(map(str, default)) if self.count > 1 else str(default)
        if self.default is None:
            default = f"({self.unset})"
        elif self.type is bool:
            default = "on" if self.default else "off"
        return "; ".join(filter(None, (default, self.range)))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def flag_of(key: str) -> str:
    """The flag with that name in TOML."""
    return "--" + key.replace("_", "-")


@cache
def options_of(declared: type) -> tuple[Option, ...]:
    """The options that a dataclass declares, in order."""
    hints = get_type_hints(declared)
    return tuple(
        Option(f.name, *_type_and_count(hints[f.name]), default=f.default, **f.metadata)
        for f in dataclasses.fields(declared)
    )


def _type_and_count(hint: Any) -> tuple[type, int]:
    """(int, 3) of tuple[int, int, int], (float, 1) of float | None."""
    entries = [entry for entry in get_args(hint) if entry is not NoneType] or [hint]
    return entries[0], len(entries)


def read(options: Iterable[Option], table: dict[str, Any], source: str = "") -> dict[str, Any]:
    """The checked values of a table as in TOML, by field; a key may have dashes or underscores.

    Raises ValueError for an unknown key, for an option that is given twice, and as `Option.check`;
    the message begins with `source`, the file that holds the table.
    """
    known = {key: o for o in options for key in (o.key, o.alias) if key}
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    try:
        for key, value in table.items():
            option = known.get(key.replace("-", "_"))
            if option is None:
                near = get_close_matches(key, known, 1)
                hint = f": did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"unknown option {key!r}{hint}")
            if option.field in values:
                both = f"{names[option.field]!r} and {key!r}"
                raise ValueError(f"{option.flag} is given twice, as {both}")
            values[option.field], names[option.field] = option.check(value), key
    except ValueError as error:
        raise ValueError(f"{source}: {error}" if source else str(error)) from None
    return values
