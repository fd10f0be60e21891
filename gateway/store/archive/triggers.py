"""Triggers: what goes, or does not come in, when a row takes the place of another.

An adjust corrects the orphan before it; what comes in that one's place needs none. A
re-rating follows its call: where that one comes again behind it, the store has lost both.
"""

from typing import Final

from gateway.event import RERATED
from gateway.store.archive.table import ADJUST_SUFFIX

_PAST_RERATED: Final = chr(ord(RERATED) + 1)

_IS_EARLIER: Final = "(stream_ms, stream_seq) < (NEW.stream_ms, NEW.stream_seq)"
_REPLACED: Final = f"""
    DELETE FROM events WHERE once = OLD.once || '{ADJUST_SUFFIX}' AND partition = OLD.partition
        AND {_IS_EARLIER};"""  # noqa: S608 - constants
_RERATED: Final = f"""
    DELETE FROM events WHERE partition = OLD.partition
        AND once > OLD.once || '{RERATED}' AND once < OLD.once || '{_PAST_RERATED}'
        AND {_IS_EARLIER};"""  # noqa: S608 - constants
_IS_OUTDATED: Final = """FROM events
        WHERE once = NEW.request_id AND partition = NEW.partition
            AND (stream_ms, stream_seq) > (NEW.stream_ms, NEW.stream_seq)"""

SQLITE: Final = (
    (
        "CREATE TRIGGER IF NOT EXISTS events_replaced AFTER UPDATE OF stream_ms ON events"
        f" BEGIN {_REPLACED} END"
    ),
    (
        "CREATE TRIGGER IF NOT EXISTS events_rerated AFTER UPDATE OF stream_ms ON events"
        f" BEGIN {_RERATED} END"
    ),
    (
        "CREATE TRIGGER IF NOT EXISTS events_outdated BEFORE INSERT ON events"
        f" WHEN NEW.kind = 'adjust' BEGIN SELECT RAISE(IGNORE) {_IS_OUTDATED}; END"
    ),
)

POSTGRES: Final = (
    (
        "CREATE OR REPLACE FUNCTION events_replaced() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {_REPLACED} {_RERATED} RETURN NULL; END $$"
    ),
    (
        "CREATE OR REPLACE FUNCTION events_outdated() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN IF EXISTS (SELECT 1 {_IS_OUTDATED}) THEN RETURN NULL; END IF;"
        " RETURN NEW; END $$"
    ),
    "DROP TRIGGER IF EXISTS events_replaced ON events",
    (
        "CREATE TRIGGER events_replaced AFTER UPDATE OF stream_ms ON events"
        " FOR EACH ROW EXECUTE FUNCTION events_replaced()"
    ),
    "DROP TRIGGER IF EXISTS events_outdated ON events",
    (
        "CREATE TRIGGER events_outdated BEFORE INSERT ON events"
        " FOR EACH ROW WHEN (NEW.kind = 'adjust') EXECUTE FUNCTION events_outdated()"
    ),
)
