"""Uploads of half a gigabyte: not a byte of them different, none of them kept.

They lie in a file while they come in, since the customer may be named behind them.
"""

import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.support.forms import MEDIA, customer_fields, field, file, form
from tests.support.gateways import TOKEN, a_customer, an_upstream, wait_until
from tests.support.processes import Running, farebox
from tests.support.rawhttp import connected, exchange, parse, request, to_the_end
from tests.support.rawupstream import answer, head_of, taking

HEARD = b'{"text":"Hello","usage":{"type":"duration","seconds":9}}'
PATH = "/v1/audio/transcriptions"
MODEL = field("model", "ear")
MEGABYTES = 500
GROWTH_MB_MAX = 25


class Hashing:
    """A provider that keeps nothing of a body but its digest.

    Attributes:
        answers: What it says then.
        asked: It has all of a body, and waits for `may_answer`.
    """

    def __init__(self) -> None:
        self.answers = answer(HEARD)
        self.digests: list[str] = []
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def take(self, connection: Any) -> None:
        head, piece = head_of(connection)
        [length] = re.findall(rb"content-length: (\d+)", head)
        left = int(length) - len(piece)
        digest = sha256(piece)
        while left:
            piece = connection.recv(262_144)
            if not piece:
                return
            left -= len(piece)
            digest.update(piece)
        self.digests.append(digest.hexdigest())
        self.asked.set()
        self.may_answer.wait(20)
        connection.sendall(self.answers)


@contextmanager
def served(folder: Path) -> Iterator[tuple[Hashing, Running]]:
    provider = Hashing()
    with taking(provider.take) as url:
        accounts = [an_upstream(url, models=["*"])]
        with farebox(folder, None, url, upstreams=accounts) as running:
            yield provider, running


def head_for(length: int) -> bytes:
    token = f"Bearer {TOKEN}"
    head: bytes = request(PATH, content_length=str(length), authorization=token, content_type=MEDIA)
    return head


def memory_mb(running: Running, what: str) -> float:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    [size] = re.findall(rf"{what}:\s+(\d+)", status)
    return int(size) / 1_000


def spooled(running: Running) -> list[str]:
    """What the process has open of uploads; a file without a name is there for no longer."""
    links = []
    for fd in Path(f"/proc/{running.process.pid}/fd").iterdir():
        try:
            links.append(str(fd.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    return [link for link in links if "/uploads/" in link]


def left_behind(running: Running) -> list[Path]:
    return list((running.gateway.folder / "uploads").iterdir())


@pytest.mark.slow
def test_r76_half_a_gigabyte_is_uploaded_in_little_memory(tmp_path):
    """Its fields stand behind the file, and it arrives as it was sent, but for ours."""
    piece = random.Random(1).randbytes(1_000_000)
    before_it, after_it = file(b"")[:-2], b"\r\n" + MODEL
    ours, end = customer_fields("acme"), form()
    expected = sha256(before_it)
    for _ in range(MEGABYTES):
        expected.update(piece)
    expected.update(after_it + end)
    length = len(before_it + after_it + ours + end) + MEGABYTES * len(piece)

    with served(tmp_path) as (provider, running):
        before = memory_mb(running, "VmRSS")
        with connected(running.gateway.url) as connection:
            connection.settimeout(120)
            connection.sendall(head_for(length) + before_it)
            for _ in range(MEGABYTES):
                connection.sendall(piece)
            connection.sendall(after_it + ours + end)
            got = parse(to_the_end(connection))
        grown = memory_mb(running, "VmHWM") - before

        assert (200, HEARD) == (got.status, got.body)
        assert [expected.hexdigest()] == provider.digests
        assert grown < GROWTH_MB_MAX
        wait_until(lambda: spooled(running) == [], "its file is gone")
        assert [] == left_behind(running)


@pytest.mark.slow
def test_r76_no_upload_stays_behind_however_its_call_ends(tmp_path):
    """Answered, refused, broken off by either side, killed: what lay on the disk is free again."""
    body = form(MODEL, file(bytes(5_000_000)), customer_fields(a_customer()))
    whole = head_for(len(body)) + body

    def gone() -> bool:
        return [] == spooled(running)

    with served(tmp_path) as (provider, running):
        url = running.gateway.url
        refused = answer(b"{}", status="500 Internal Server Error")
        broken = answer(b"{}", length=100)
        for said, status in ((answer(HEARD), 200), (refused, 500), (broken, 502)):
            provider.answers = said
            assert status == exchange(url, whole).status
            wait_until(gone, f"the file of a call that ended with {status} is gone")

        with connected(url) as leaving:
            leaving.sendall(whole[:-100])
            wait_until(lambda: not gone(), "it is on the disk")
        wait_until(gone, "the file of who left while sending is gone")

        provider.may_answer.clear()
        provider.asked.clear()
        with connected(url) as leaving:
            leaving.sendall(whole)
            assert provider.asked.wait(20)
            assert not gone()
        wait_until(gone, "the file of who left while waiting is gone")

        provider.asked.clear()
        with connected(url) as cut_off:
            cut_off.sendall(whole)
            assert provider.asked.wait(20)
            assert not gone()
            running.kill()
        assert [] == left_behind(running)  # nothing for a next start to find
        provider.may_answer.set()
