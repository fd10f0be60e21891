"""The archive: every event as a row, for logs, exports and questions nobody foresaw.

Rows come from the flusher, one for each thing that happened; one that is there already is
left alone, so that a batch may be written twice. SQLite in the data directory, or PostgreSQL
by its URL; what is one dialect's own stands in `database.py`, `schema.py`, `triggers.py`,
`rows.py` (insert) and `reratings.py`.
"""

from gateway.store.archive.answers import NO_PACES, Answers, Paces
from gateway.store.archive.archive import OFFSET_MAX, PAGE_SIZE_MAX, Archive, Page
from gateway.store.archive.askers import Found as Askers
from gateway.store.archive.away import unless_away
from gateway.store.archive.conditions import Condition, with_key
from gateway.store.archive.database import FILE_NAME
from gateway.store.archive.listing import WALKED_MAX, Listed, Place, Sort, Wanted
from gateway.store.archive.outbox import Delivery, Outbox, State
from gateway.store.archive.past import PastDay
from gateway.store.archive.payloads import Payload, Payloads
from gateway.store.archive.queries import LogFilter, Metric, ModelUse, Summary
from gateway.store.archive.recent import RECENT_MAX, RecentCall
from gateway.store.archive.reratings import Rerated, UnpricedUse
from gateway.store.archive.slots import Bounds, Slots, Slotting, SlotUse, Timing
from gateway.store.archive.table import ArchivedEvent

__all__ = [
    "FILE_NAME",
    "NO_PACES",
    "OFFSET_MAX",
    "PAGE_SIZE_MAX",
    "RECENT_MAX",
    "WALKED_MAX",
    "Answers",
    "Archive",
    "ArchivedEvent",
    "Askers",
    "Bounds",
    "Condition",
    "Delivery",
    "Listed",
    "LogFilter",
    "Metric",
    "ModelUse",
    "Outbox",
    "Paces",
    "Page",
    "PastDay",
    "Payload",
    "Payloads",
    "Place",
    "RecentCall",
    "Rerated",
    "SlotUse",
    "Slots",
    "Slotting",
    "Sort",
    "State",
    "Summary",
    "Timing",
    "UnpricedUse",
    "Wanted",
    "unless_away",
    "with_key",
]
