"""Errors that somebody could make: the simulator has to catch each of them.

A mutation replaces an exact snippet of a script, as it is sent to the server, or of a
Python function; more than one where two of them guard the same. A snippet that is not there
any more is an error: the table (`mutants`) follows the code.
"""

import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from unittest.mock import patch

from gateway.store import scripts
from tests.simulator.fate import ANY, Weather

Swap = tuple[str, str]


class SnippetMissing(LookupError):
    """The code has changed; the mutation must, too."""


@dataclass(frozen=True)
class Change:
    """In one place.

    Attributes:
        where: A script's name, or ``module:Class.function``.
        swaps: What is replaced, by what.
    """

    where: str
    swaps: tuple[Swap, ...]

    @property
    def is_script(self) -> bool:
        return ":" not in self.where

    def mutated(self, source: str) -> str:
        for old, new in self.swaps:
            if source.count(old) != 1:
                raise SnippetMissing(f"{self.where}: {source.count(old)} times in it: {old!r}")
            source = source.replace(old, new)
        return source

    def patched(self):
        """Put in place what is not a script."""
        path, _, name = self.where.partition(":")
        module = import_module(path)
        owner, _, attribute = name.rpartition(".")
        holder = getattr(module, owner) if owner else module
        function = inspect.unwrap(getattr(holder, attribute))
        text = textwrap.dedent(inspect.getsource(function))
        source = self.mutated(text.removeprefix("@staticmethod\n"))
        space: dict[str, object] = {}
        exec(compile(source, f"<{self.where}>", "exec"), vars(module), space)
        made = space[attribute]
        if owner:
            return patch.object(holder, attribute, _as_declared(holder, attribute, made))
        return _everywhere(function, attribute, made)


@dataclass(frozen=True)
class Mutation:
    """An error, in one place or in several that guard the same.

    Attributes:
        weather: In which it shows soon.
    """

    name: str
    changes: tuple[Change, ...]
    weather: Weather = ANY

    @property
    def is_of_scripts(self) -> bool:
        return any(change.is_script for change in self.changes)

    def edit(self, name: str, source: str) -> str:
        """The script as the server gets it."""
        for change in self.changes:
            if change.where == name:
                source = change.mutated(source)
        return source

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for change in self.changes:
                if change.is_script:
                    change.mutated(scripts.load(change.where).source)  # is it there at all?
                else:
                    stack.enter_context(change.patched())
            yield


def _as_declared(holder: object, attribute: str, made: object) -> object:
    is_static = isinstance(inspect.getattr_static(holder, attribute), staticmethod)
    return staticmethod(made) if is_static else made  # type: ignore[arg-type]


@contextmanager
def _everywhere(function: object, name: str, made: object) -> Iterator[None]:
    """In each module that has imported it."""
    with ExitStack() as stack:
        for module in list(sys.modules.values()):
            if getattr(module, name, None) is function:
                stack.enter_context(patch.object(module, name, made))
        yield


def drop(name: str, where: str, snippet: str, weather: Weather = ANY) -> Mutation:
    return swap(name, where, snippet, "", weather)


def swap(name: str, where: str, old: str, new: str, weather: Weather = ANY) -> Mutation:
    return Mutation(name, (Change(where, ((old, new),)),), weather)


def under(weather: Weather, *mutations: Mutation) -> tuple[Mutation, ...]:
    """Those that have no weather of their own show in this."""
    return tuple(m if m.weather is not ANY else replace(m, weather=weather) for m in mutations)
