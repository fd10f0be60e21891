"""The archive: every event as a row, for logs, exports and questions nobody foresaw.

Rows come from the flusher, one for each thing that happened; one that is there already is
left alone, so that a batch may be written twice. SQLite in the data directory today; SQL
that is the dialect's own stands in `rows.py` (insert), `schema.py`, `past.py`, `reratings.py` and
`archive.py` (connection).
"""

from gateway.store.archive.archive import FILE_NAME, PAGE_SIZE_MAX, Archive, Page
from gateway.store.archive.outbox import Delivery, Outbox, State
from gateway.store.archive.past import PastDay
from gateway.store.archive.queries import CustomerUse, LogFilter, Metric, ModelUse, Summary
from gateway.store.archive.reratings import Rerated, UnpricedUse
from gateway.store.archive.slots import Slots, SlotUse, Timing
from gateway.store.archive.table import ArchivedEvent

__all__ = [
    "FILE_NAME",
    "PAGE_SIZE_MAX",
    "Archive",
    "ArchivedEvent",
    "CustomerUse",
    "Delivery",
    "LogFilter",
    "Metric",
    "ModelUse",
    "Outbox",
    "Page",
    "PastDay",
    "Rerated",
    "SlotUse",
    "Slots",
    "State",
    "Summary",
    "Timing",
    "UnpricedUse",
]
