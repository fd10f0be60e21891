"""A run in lines that can be read: who did what to the store, and what it said."""

from tests.simulator.virtual_server import Executed

SILENT = frozenset({"SCRIPT", "TIME", "INFO", "PING"})
SHOWN_BYTES = 40


def told(executed: Executed) -> str | None:
    """One line; None for what nobody wants to read."""
    if executed.verb in SILENT or executed.verb.isupper():
        return None
    args = " ".join(short(arg) for arg in executed.args[:12])
    return f"{executed.by:4} {executed.verb} {args} -> {short(executed.reply)}"


def short(value: object) -> str:
    if isinstance(value, bytes):
        text = value.decode(errors="replace")
        return text if len(text) <= SHOWN_BYTES else text[: SHOWN_BYTES - 1] + "…"
    if isinstance(value, list):
        return "[" + " ".join(map(short, value)) + "]"
    return str(value)
