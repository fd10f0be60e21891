"""People: the customers behind numbers, as a page names them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from gateway.api.customers import Customers
from gateway.customers.profile import ANONYMOUS, Profile
from gateway.dashboard.formats import initials

TINTS: Final = 8


@dataclass(frozen=True, slots=True)
class Person:
    """One customer.

    Attributes:
        identifier: None: deleted, or a stranger who was refused.
    """

    number: int
    identifier: str | None
    name: str | None = None
    email: str | None = None
    blocked: bool = False

    @property
    def label(self) -> str:
        if self.identifier == ANONYMOUS:
            return "Anonymous"
        return self.name or self.identifier or "Deleted user"

    @property
    def initials(self) -> str:
        return initials(self.label) if self.identifier else "?"

    @property
    def tint(self) -> int:
        """Which colour its avatar has: the same on every page."""
        return self.number % TINTS

    @property
    def path(self) -> str | None:
        return user_path(self.identifier) if self.identifier else None


def person(profile: Profile) -> Person:
    return Person(
        profile.number,
        profile.identifier,
        profile.text("name"),
        profile.text("email"),
        profile.blocked,
    )


def user_path(identifier: str) -> str:
    return f"/users/{quote(identifier, safe='')}"


class People:
    def __init__(self, customers: Customers) -> None:
        self._customers = customers

    async def of(self, places: Iterable[tuple[int, int]]) -> Mapping[int, Person]:
        """Number -> person, of ``(number, index of the partition)``; all of them, known or not."""
        numbers = dict(places)
        profiles = await self._customers.profiles(numbers)
        return {
            number: person(profiles[number]) if number in profiles else Person(number, None)
            for number in numbers
        }
