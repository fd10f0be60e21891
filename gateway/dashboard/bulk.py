"""Bulk: one budget for all users that are ticked in the list.

What is wrong with it changes nobody: the list comes again, with the ticks, with what was typed,
and with what is wrong.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from starlette.responses import RedirectResponse, Response

from gateway.api.answers import InvalidFields
from gateway.api.services import Services
from gateway.api.user_fields import changed, looked_up
from gateway.customers.fields import Canonical
from gateway.dashboard.board import Board
from gateway.dashboard.user import errors_of
from gateway.dashboard.visits import Visit
from gateway.errors import InvalidCall, NotFound

LIST: Final = "/users"
FIELDS: Final = ("period_budget", "budget_duration")
TICKED: Final = "tick-"
"""Of the fields that name the users of a form; each has a name of its own."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A form as it was sent, to be shown again.

    Attributes:
        ticked: Identifiers, as the list shows them.
        problem: Why nobody was changed.
    """

    ticked: Sequence[str] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


Listed = Callable[[Visit, Draft], Awaitable[Response]]


class Bulk:
    def __init__(self, services: Services, board: Board, listed: Listed) -> None:
        """`listed` shows the list of users, with a draft in it."""
        self._services = services
        self._board = board
        self._listed = listed

    async def budgets(self, visit: Visit) -> Response:
        """The query is that of the list that the form stands in."""
        visit = replace(visit, state=replace(visit.state, path=LIST))
        ticked = [value for name, value in visit.form.items() if name.startswith(TICKED)]
        draft = Draft(ticked, {name: visit.form.get(name, "").strip() for name in FIELDS})
        try:
            changes = await self._changes(draft)
        except (InvalidCall, NotFound) as exc:
            return await self._listed(visit, replace(draft, problem=str(exc)))
        for identifier, change in changes.items():
            await self._services.users.change(identifier, change)
        self._board.forget()
        return RedirectResponse(visit.state.link(said="budgets"), 303)

    async def _changes(self, draft: Draft) -> dict[str, dict[str, Canonical]]:
        """Identifier -> change.

        Raises:
            InvalidCall, NotFound: what is wrong, in words for who filled the form in.
        """
        if not draft.ticked:
            raise InvalidCall("No user was ticked. Tick those to change.")
        if not draft.values["period_budget"]:
            raise InvalidCall("A budget is needed.")
        changes = {}
        for named in draft.ticked:
            identifier = looked_up(named)
            try:
                changes[identifier] = changed(identifier, draft.values)
                await self._services.directory.known(identifier)
            except InvalidFields as exc:
                raise InvalidCall(next(iter(errors_of(exc).values()))) from exc
            except NotFound as exc:
                raise NotFound(f"There is no user {named[:64]!r} any more.") from exc
        return changes
