"""Tables: rows with goals, declared before anything runs, so that `bench/run --list` can name them."""

from collections.abc import Callable
from dataclasses import dataclass


class Failed(Exception):
    """A command that did not do its work."""


@dataclass(frozen=True)
class Goal:
    """The least or the most that a figure may be. `stretch` is the same, harder, and is only told."""

    limit: float
    stretch: float | None = None
    is_most: bool = False
    unit: str = ""

    def is_met(self, value):
        return value <= self.limit if self.is_most else value >= self.limit

    def verdict(self, value):
        if not self.is_met(value):
            return "MISSED"
        is_short = self.stretch is not None and not Goal(self.stretch, is_most=self.is_most).is_met(value)
        return "met, but not the stretch" if is_short else "met"

    def __str__(self):
        sign = "≤" if self.is_most else "≥"
        stretch = "" if self.stretch is None else f" (stretch {self.stretch:,g})"
        return f"{sign} {self.limit:,g}{' ' + self.unit if self.unit else ''}{stretch}"


def least(limit, stretch=None, unit=""):
    return Goal(limit, stretch, False, unit)


def most(limit, unit=""):
    return Goal(limit, None, True, unit)


@dataclass
class Peer:
    """A command that does the work of a table. `goal` is for its time / prun's time; `rate` is for its own units a
    second. `needs` names programs without which it is left out."""

    name: str
    command: str
    goal: Goal | None = None
    rate: Goal | None = None
    needs: tuple[str, ...] = ()


@dataclass
class Compare:
    """Peers that do the same work, `count` units of it, timed in interleaved rounds. The first one is prun. `prepare`
    makes the files that they need. `cpus` is how many CPUs they run on (None: all)."""

    title: str
    count: int
    unit: str
    peers: list[Peer]
    prepare: Callable[[], None] | None = None
    cpus: int | None = None


@dataclass
class Figure:
    """A row of a table whose values are not times of peers. `digits` are those behind the point."""

    name: str
    unit: str
    goal: Goal | None = None
    digits: int = 1


@dataclass
class Figures:
    """Rows whose values `measure` returns by name; a Failed in place of a value is told in its row. A row without a
    value is left out. `needs` names programs without which the table is."""

    title: str
    rows: list[Figure]
    measure: Callable[[], dict]
    needs: tuple[str, ...] = ()
