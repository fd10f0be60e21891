"""Deleting a customer: nothing that the gateway keeps names it, nor after its last call ended."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.demo.upstream import Pace
from gateway.ledger.wal import log as wal
from gateway.metering import erasure
from gateway.store.archive import FILE_NAME as ARCHIVE
from tests.e2e.test_webhooks import Receiver, hooked, spend
from tests.support.gateways import TOKEN, Gateway, chat_body, wait_until

IDENTIFIER = "canary-4711/ü"
NAME = "Nora Canary"
EMAIL = "nora@canary.example"
CANARIES = [text.encode() for text in ("canary-4711", NAME, EMAIL)]
THREAD = "secret-thread"
"""What a call said of it stays in the store's stream for its hot hours, and only there."""


@pytest.fixture
def door(monkeypatch) -> Iterator[Gateway]:
    monkeypatch.setattr(erasure, "IDLE_SECONDS", 0.05)
    receiver = Receiver()
    receiver.refusals = 1_000_000  # what is told waits in the outbox
    slow = Pace(first_token_ms=1, token_ms=30)
    with hooked(receiver, events={"store_payloads": True}, pace=slow) as running:
        yield running


def test_r73_a_deleted_customer_is_nowhere_not_even_after_its_stream(door, monkeypatch) -> None:
    """Store, archive, payloads, webhooks; and, once the replay window is over, the log."""
    about = {"name": NAME, "email": EMAIL, "metadata": {"plan": EMAIL}, "total_budget": 1}
    made = door.api.post("/api/users/", json={"customer_identifier": IDENTIFIER, **about})
    assert 201 == made.status_code
    spend(door, IDENTIFIER, 0.9, metadata={"thread": THREAD})
    thread = {"customer_params": {"customer_identifier": IDENTIFIER}, "user": IDENTIFIER}
    door.post("/v1/chat/completions", json=chat_body(text=f"I am {NAME}", **thread))
    wait_until(lambda: {"store", "archive"} <= set(places(door)), "it is everywhere")
    wait_until(lambda: count(door, "deliveries") > 0, "its webhooks wait")
    wait_until(lambda: count(door, "payloads") > 0, "what it asked is kept")

    as_app = {"authorization": f"Bearer {TOKEN}"}
    body = chat_body(text=f"I am {NAME}", stream=True, max_tokens=40, **thread)
    with door.api.stream("POST", "/v1/chat/completions", json=body, headers=as_app) as stream:
        pieces = stream.iter_raw()
        next(pieces)
        assert 204 == door.api.delete("/api/users/canary-4711%2F%C3%BC/").status_code
        assert 0 == count(door, "deliveries") + count(door, "alerts")
        assert "store" not in places(door)
        assert b"[DONE]" in b"".join(pieces)

    wait_until(lambda: door.api.get("/api/analytics/summary").json()["requests"] == 3, "it counts")
    wait_until(lambda: not places(door), f"nothing names it: {places(door)}")
    monkeypatch.setattr(wal, "REPLAY_WINDOW_MS", 0)
    monkeypatch.setattr(wal, "SEGMENT_MS_MAX", 0)
    wait_until(lambda: not named_in(door.folder / "wal"), "the log is history", 20)
    # SQLite's own log is written over sooner or later; here at once, where nobody reads just then.
    wait_until(lambda: written_over(door) and not named_in(door.folder), "no file names it")
    assert 404 == door.api.get("/api/users/canary-4711%2F%C3%BC/").status_code
    assert 0 == door.api.get("/api/users/list/").json()["count"]


def places(door: Gateway) -> list[str]:
    """Where anything of it is found: the store, or the archive."""
    found = []
    for key in door.store.scan_iter(count=1_000):
        content = key + b" " + repr(_content(door, key)).encode()
        if any(canary in content for canary in CANARIES):
            found.append("store")
            break
    with closing(sqlite3.connect(door.folder / ARCHIVE)) as archive:
        tables = archive.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        rows = [repr(archive.execute(f'SELECT * FROM "{name}"').fetchall()) for (name,) in tables]
    names = (*(canary.decode() for canary in CANARIES), THREAD)
    if any(name in row for name in names for row in rows):
        found.append("archive")
    return found


def written_over(door: Gateway) -> bool:
    with closing(sqlite3.connect(door.folder / ARCHIVE)) as archive:
        busy, *_ = archive.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _content(door: Gateway, key: bytes) -> object:
    read = {
        b"string": lambda: door.store.get(key),
        b"hash": lambda: door.store.hgetall(key),
        b"set": lambda: door.store.smembers(key),
        b"zset": lambda: door.store.zrange(key, 0, -1),
        b"stream": lambda: [entry for _, entry in door.store.xrange(key)],
    }
    return read[door.store.type(key)]()


def count(door: Gateway, table: str) -> int:
    with closing(sqlite3.connect(door.folder / ARCHIVE)) as archive:
        return int(archive.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])


def named_in(folder: Path) -> list[Path]:
    """The files that have anything of it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(canary in path.read_bytes() for canary in CANARIES)]
