"""Reload: another book in one step, or the old one and a sentence that says why."""

import os
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.rating import Rating
from gateway.reload import Reload, Wanted
from pricing.book import PriceBook
from pricing.compare import code_of

pytestmark = pytest.mark.anyio

BOOK = PriceBook((), "a" * 64)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Files:
    """A price file as its owner edits it: the rate of one model, or nonsense."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "prices"
        self.confirmed: str | None = None
        self.reads = 0
        self.write("1")
        self.rating = Rating(self.book())
        self.reload = Reload(self.rating, self.read, [self.path], SystemClock())

    def write(self, content: str) -> None:
        self.path.write_text(content)
        self._changes = getattr(self, "_changes", 0) + 1
        os.utime(self.path, (self._changes, self._changes))

    def book(self) -> PriceBook:
        content = self.path.read_text()
        if content == "free":
            return BOOK.overlaid([{"provider": "lab", "model": "m", "free": True}])
        if content == "none":
            return BOOK
        entry = {"provider": "lab", "model": "m", "base": {"input": content, "output": "4"}}
        return BOOK.overlaid([entry])

    def read(self) -> Wanted:
        self.reads += 1
        return Wanted(self.book(), self.confirmed)

    async def look(self, times: int = 2) -> bool:
        """Twice, so that what has changed has also stood still; whether a book was adopted."""
        return any([await self.reload.step() for _ in range(times)])

    @property
    def rate(self) -> int | None:
        price = self.rating.rate("lab", "m", 1).price
        return price.base.input if price else None


@pytest.fixture
async def files(tmp_path: Path) -> Files:
    made = Files(tmp_path)
    assert not await made.look()  # what is there at the start is in force
    return made


async def test_r45_an_edited_price_comes_into_force(files) -> None:
    """Once it has stood still for a look, and only once."""
    files.write("2")
    assert [False, True, False] == [await files.reload.step() for _ in range(3)]

    assert (2 * 10**9, []) == (files.rate, files.reload.troubles())
    assert files.book().version == files.rating.book.version


async def test_r45_a_file_that_is_being_written_is_left_alone(files) -> None:
    """Each look finds it changed: it is read when it has come to rest."""
    reads = files.reads
    for rate in ("2", "3", "4"):
        files.write(rate)
        assert not await files.reload.step()
    assert (reads, 10**9) == (files.reads, files.rate)
    assert await files.reload.step()
    assert 4 * 10**9 == files.rate


@pytest.mark.parametrize("content", ["nonsense", "-1", "0.0000000000001"])
async def test_r45_a_broken_file_leaves_the_old_book_in_force(files, content, caplog) -> None:
    """Said where health is asked, and in the log; and mended by a file that is right."""
    files.write(content)
    assert not await files.look()

    assert 10**9 == files.rate
    (trouble,) = files.reload.troubles()
    assert trouble.startswith("prices: the old book stays in force: the files cannot be used: ")
    assert "prices_refused" in caplog.text

    files.write("2")
    assert await files.look()
    assert (2 * 10**9, []) == (files.rate, files.reload.troubles())


async def test_r45_a_file_that_is_gone_leaves_the_old_book_in_force(files) -> None:
    files.path.unlink()
    assert not await files.look()

    assert (10**9, 1) == (files.rate, len(files.reload.troubles()))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("10.1", "lab/m: base.input moves more than 10x"),
        ("0.09", "lab/m: base.input moves more than 10x"),
        ("0", "lab/m: base.input becomes free"),
        ("free", "lab/m: becomes free"),
        ("none", "lab/m: has no price any more"),
    ],
)
async def test_r45_a_leap_waits_until_that_very_book_is_confirmed(files, content, said) -> None:
    """By its code, which no other book has; another one's does not count."""
    files.write(content)
    code = code_of(files.book().version)
    files.confirmed = "another"
    assert not await files.look()
    (trouble,) = files.reload.troubles()
    assert said in trouble
    assert code in trouble
    assert 10**9 == files.rate

    files.confirmed = code
    files.write(content)  # the config that confirms is one of the files
    assert await files.look()
    assert [] == files.reload.troubles()
    assert files.book().version == files.rating.book.version


async def test_r45_what_was_free_is_not_charged_unconfirmed(tmp_path) -> None:
    made = Files(tmp_path)
    made.write("free")
    made.rating.adopt(made.book())
    await made.look()

    made.write("1")
    assert not await made.look()
    assert "was free" in made.reload.troubles()[0]


async def test_r45_going_back_clears_the_trouble(files) -> None:
    files.write("99")
    await files.look()
    assert files.reload.troubles()

    files.write("1")
    assert not await files.look()
    assert [] == files.reload.troubles()


async def test_r45_a_call_goes_on_with_the_book_it_began_with(files) -> None:
    """Its price and the version in its event, at whatever moment the book is replaced."""
    pinned = files.rating.pinned()
    before = pinned.book.version
    files.write("2")
    await files.look()

    assert 10**9 == pinned.rate("lab", "m", 1).price.base.input
    assert before == pinned.book.version
    assert pinned.named("lab/m@0", "lab", (), 1).base.input == 10**9
    assert 2 * 10**9 == files.rating.pinned().rate("lab", "m", 1).price.base.input
    assert files.rating.pinned() is files.rating.pinned()


async def test_a_process_that_starts_late_takes_what_the_files_say(tmp_path) -> None:
    """A worker that was started again, with the settings of its parent: prices are read anew."""
    made = Files(tmp_path)
    made.path.write_text("3")  # since its parent read it

    assert await made.look()
    assert 3 * 10**9 == made.rate
