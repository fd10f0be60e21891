"""The windows that an account has open, read and moved as no script would."""

from typing import Any

from gateway.customers.windows import KINDS
from gateway.ledger.results import NO_WINDOWS

UNTIL = "until"
NAMES = (*KINDS, UNTIL)


def read(windows: str | bytes | None) -> dict[str, int]:
    """By kind its id, 0 for none; and when the custom one ends. Of the field `windows`."""
    return dict(zip(NAMES, map(int, (windows or NO_WINDOWS).split()), strict=True))


async def opened(bench: Any, account: str) -> dict[str, int]:
    return read(await bench.command("HGET", account, "windows"))


async def move(bench: Any, account: str, **moved: int) -> None:
    """As if others than those that are open had been opened: ids by kind."""
    text = " ".join(map(str, (await opened(bench, account) | moved).values()))
    await bench.command("HSET", account, "windows", text)
