"""Measure the list of logs: ``python -m benchmarks.logs --rows 2000000``.

Fills an archive of its own (SQLite; `--url` for a PostgreSQL that may be overwritten), then
asks for pages by every kind of filter and says how long each took, best and worst of a few,
and the least processor time of it, which others on the machine do not add to.
"""

import asyncio
import itertools
import random
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sqlalchemy.schema import CreateIndex, DropIndex

from gateway.event import Kind, Source, Status, UsageEvent
from gateway.store.archive import Archive, ArchivedEvent, Condition, LogFilter, Place, Sort, Wanted
from gateway.store.archive.rows import for_postgres, to_row
from gateway.store.archive.table import EVENTS
from gateway.store.operators import Operator
from pricing.usage import Usage

BATCH: Final = 20_000
CUSTOMERS: Final = 10_000
NOW_MS: Final = 1_795_000_000_000
STEP_MS: Final = 250
REPEATS: Final = 5


def main() -> int:
    options = _options()
    with TemporaryDirectory(prefix="farebox-benchmark-", dir=options.folder) as folder:
        asyncio.run(_measured(Path(folder), options))
    return 0


async def _measured(folder: Path, options: Namespace) -> None:
    archive = await Archive.open(folder, options.url)
    began = time.perf_counter()
    await asyncio.to_thread(_fill, archive, options.rows)
    print(f"{options.rows:,} rows in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    print("| logs | processor | best | worst | rows | count |\n|---|--:|--:|--:|--:|--:|")
    for name, wanted in _questions(options.rows):
        times, spent = [], []
        page = await archive.page(wanted)
        for _ in range(REPEATS):
            began, of_processor = time.perf_counter(), time.process_time()
            await archive.page(wanted)
            times.append(1e3 * (time.perf_counter() - began))
            spent.append(1e3 * (time.process_time() - of_processor))
        count = f"{page.count:,}{'' if page.exact else '+'}"
        told = " | ".join(f"{ms:.0f} ms" for ms in (min(spent), min(times), max(times)))
        cells = f"{told} | {len(page.rows)} | {count}"
        print(f"| {name} | {cells} |", flush=True)
    await archive.close()


def _questions(rows: int) -> Iterator[tuple[str, Wanted]]:
    def on(column: str, operator: Operator, value: Any) -> LogFilter:
        return LogFilter(conditions=[Condition(column, operator, (value,))])

    middle = NOW_MS - rows * STEP_MS // 2
    filters = {
        "everything": LogFilter(),
        "a customer": LogFilter(customer_numbers=[17]),
        "the greatest customer": LogFilter(customer_numbers=[1]),
        "three customers": LogFilter(customer_numbers=[17, 18, 19]),
        "a hundred customers": LogFilter(customer_numbers=range(100, 200)),
        "a customer and a model": LogFilter(customer_numbers=[17], model="model-3"),
        "nobody": LogFilter(customer_numbers=[]),
        "a model": LogFilter(model="model-3"),
        "a model that nobody called": LogFilter(model="none"),
        "an app": LogFilter(app="shop"),
        "an app and a model": LogFilter(app="shop", model="model-7"),
        "status error": LogFilter(status=Status.ERROR),
        "status code 429": LogFilter(status_code=429),
        "status code 200": LogFilter(status_code=200),
        "a request id": LogFilter(request_id="req_0000001234"),
        "a day": LogFilter(start_ms=middle, end_ms=middle + 86_400_000),
        "cost above": on("cost_pico", Operator.GT, 10**9 - 3),
        "finish reason": on("finish_reason", Operator.EQUAL, "length"),
        "endpoint contains": on("endpoint", Operator.ICONTAINS, "nothing"),
        "metadata contains": on("metadata", Operator.CONTAINS, "nothing"),
        "stream": on("stream", Operator.EQUAL, True),
    }
    for name, wanted in filters.items():
        yield name, Wanted(filter=wanted)
    yield "page 100", Wanted(filter=LogFilter(), offset=9_900)
    yield "behind the middle", Wanted(filter=LogFilter(), after=Place(middle, rows // 2))
    yield "the oldest first", Wanted(filter=LogFilter(), descending=False)
    yield "by cost", Wanted(filter=LogFilter(), sort=Sort.COST)
    yield (
        "of the greatest customer by cost",
        Wanted(filter=LogFilter(customer_numbers=[1]), sort=Sort.COST),
    )


def _fill(archive: Archive, rows: int) -> None:
    """By the table's own columns; indexes afterwards, which is the quicker way."""
    engine = archive._engine  # noqa: SLF001 - its table is filled, nothing else
    chance = random.Random(1)
    is_sqlite = engine.dialect.name == "sqlite"
    indexes = [index for index in EVENTS.indexes if index.name != "events_once"]
    with engine.connect() as connection:
        for index in indexes:
            connection.execute(DropIndex(index))
        connection.commit()
        if is_sqlite:
            connection.exec_driver_sql("PRAGMA synchronous = OFF")
            connection.commit()
        for batch in _batches(_events(rows, chance)):
            lines = [to_row(event) for event in batch]
            if not is_sqlite:
                lines = [for_postgres(line) for line in lines]
            connection.exec_driver_sql(archive._insert_new, lines)  # noqa: SLF001 - as the flusher
            connection.commit()
        for index in indexes:
            connection.execute(CreateIndex(index))
        connection.commit()
        if not is_sqlite:
            connection.exec_driver_sql("ANALYZE events")
            connection.commit()


def _batches(events: Iterator[ArchivedEvent]) -> Iterator[list[ArchivedEvent]]:
    while batch := list(itertools.islice(events, BATCH)):
        yield batch


def _events(rows: int, chance: random.Random) -> Iterator[ArchivedEvent]:
    """In the order of time; a few customers call much, most of them little."""
    for index in range(rows):
        failed = chance.random() < 0.03
        yield ArchivedEvent(
            index % 64,
            f"{index + 1}-0",
            UsageEvent(
                request_id=f"req_{index:010}",
                kind=Kind.RELEASE if failed else Kind.SETTLE,
                at_ms=NOW_MS - (rows - index) * STEP_MS,
                customer_number=1 + int(CUSTOMERS * chance.random() ** 4),
                app=chance.choice(("shop", "chat", "search")),
                model=f"model-{chance.randrange(12)}",
                endpoint="chat/completions",
                provider="openai",
                upstream="openai",
                status=Status.ERROR if failed else Status.OK,
                status_code=chance.choice((429, 500)) if failed else 200,
                cost_pico=chance.randrange(10**9),
                charge_pico=chance.randrange(10**9),
                usage=Usage(input_tokens=chance.randrange(5_000), output_tokens=200),
                source=Source.REPORTED,
                latency_ms=chance.randrange(20_000),
                first_token_ms=chance.randrange(900),
                finish_reason="stop",
                stream=index % 3 == 0,
                price_id="openai/model@2026-01-01",
                book_version="0123456789abcdef",
            ),
        )


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.logs", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--url", help="postgresql://...; its events table is filled")
    parser.add_argument("--folder", help="where the file is made; it may need 6 GB")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
