"""The demo's past: what the cast would have called in the days before now.

It has the shapes that real traffic has: working hours and weekends, customers who come and
go, an incident with errors, streams that were left early.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Final, Literal

from gateway.demo.answers import CACHE_PROMPT_TOKENS_MIN, CACHE_STEP_TOKENS, random_from
from gateway.demo.cast import CastMember, Rhythm, cast_members

DAYS_MAX: Final = 400
CALLS_PER_DAY_MAX: Final = 500
"""Of one customer."""

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
INCIDENT_DAYS_AGO: Final = 9
INCIDENT_HOURS: Final = range(13, 16)

_ERROR_SHARE: Final = 0.015
_INCIDENT_ERROR_SHARE: Final = 0.4
_ABORTED_SHARE: Final = 0.02
_STREAM_SHARE: Final = 0.7

_HOURS: Final[dict[Rhythm, tuple[int, ...]]] = {  # weight of each UTC hour
    "office": (0, 0, 0, 0, 0, 1, 2, 4, 8, 10, 10, 8, 5, 8, 10, 9, 7, 4, 2, 1, 1, 1, 0, 0),
    "evening": (2, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 1, 1, 2, 3, 5, 7, 9, 10, 9, 6, 4),
    "steady": (1,) * 24,
}
_WEEKEND: Final[dict[Rhythm, float]] = {"office": 0.2, "evening": 1.4, "steady": 1.0}

Status = Literal["ok", "error", "aborted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCall:
    """One call of the past, in OpenAI's nesting.

    Attributes:
        input_tokens: All of them, `cached_tokens` included.
        output_tokens: All of them, `reasoning_tokens` included.
        first_token_ms: For streams that got so far, else None.
        status: An ``error`` was answered by the provider and cost nothing; an ``aborted``
            call is a stream that its client left: status code 200, part of the tokens.
    """

    customer: str
    name: str
    email: str
    at_ms: int
    model: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    latency_ms: int
    first_token_ms: int | None
    status: Status
    status_code: int
    stream: bool
    app: str


def history(*, days: int, customers: int, seed: int, now_ms: int) -> Iterator[PastCall]:
    """The calls of the `days` times 24 hours before `now_ms`, oldest first.

    A day's calls are made at a time, so that memory does not grow with `days`.

    Raises:
        ValueError: `days` is not 0 to 400, or `customers` is out of range.
    """
    if not 0 <= days <= DAYS_MAX:
        raise ValueError(f"days must be 0 to {DAYS_MAX}, not {days}")
    members = cast_members(customers, seed)
    return _days(members, days, seed, now_ms)


def _days(members: list[CastMember], days: int, seed: int, now_ms: int) -> Iterator[PastCall]:
    for day in range(days):
        start_ms = now_ms - (days - day) * DAY_MS
        calls = [
            _call(member, at_ms, rng, now_ms)
            for index, member in enumerate(members)
            if member.joined <= (day + 0.5) / days <= member.left
            for rng in [random_from("day", seed, day, index)]
            for at_ms in _times(member, start_ms, rng)
        ]
        yield from sorted(calls, key=lambda call: call.at_ms)


def _times(member: CastMember, start_ms: int, rng: Random) -> list[int]:
    """Instants within the 24 hours from `start_ms`, by the member's rhythm."""
    weekend = _moment(start_ms + DAY_MS // 2).weekday() >= 5
    mean = member.calls_per_day * (_WEEKEND[member.rhythm] if weekend else 1.0)
    count = min(max(round(rng.gauss(mean, mean**0.5)), 0), CALLS_PER_DAY_MAX)
    first_hour = _moment(start_ms).hour
    weights = _HOURS[member.rhythm][first_hour:] + _HOURS[member.rhythm][:first_hour]
    hours = rng.choices(range(24), weights, k=count)
    return [start_ms + hour * HOUR_MS + rng.randrange(HOUR_MS) for hour in hours]


def _call(member: CastMember, at_ms: int, rng: Random, now_ms: int) -> PastCall:
    status, status_code = _outcome(rng, at_ms, now_ms)
    embeds = member.model == "demo-embedding"
    stream = not embeds and (status == "aborted" or rng.random() < _STREAM_SHARE)
    if embeds and status == "aborted":
        status = "ok"
    input_tokens = _between(member.appetite * rng.lognormvariate(7.4, 1.0), 12, 100_000)
    cached = _cached(input_tokens, rng)
    reasoning = 64 * rng.randint(1, 12) if member.model == "demo-reasoning" else 0
    output = 0 if embeds else reasoning + _written(member, rng)
    if member.story == "bot":
        input_tokens, cached, output = 180 + rng.randrange(40), 0, 6 + rng.randrange(10)
    if status == "aborted":
        output = max(1, output // rng.randint(2, 5))
        reasoning = min(reasoning, output)
    first_ms = _between(rng.lognormvariate(5.9, 0.4), 80, 20_000) + reasoning
    latency_ms = first_ms + (output - reasoning) * rng.randint(12, 25)
    if status == "error":
        input_tokens = cached = output = reasoning = 0
        latency_ms = first_ms
    return PastCall(
        customer=member.identifier,
        name=member.name,
        email=member.email,
        at_ms=at_ms,
        model=member.model,
        input_tokens=input_tokens,
        cached_tokens=cached,
        output_tokens=output,
        reasoning_tokens=reasoning,
        latency_ms=latency_ms,
        first_token_ms=first_ms if stream and status != "error" else None,
        status=status,
        status_code=status_code,
        stream=stream,
        app=member.app,
    )


def _outcome(rng: Random, at_ms: int, now_ms: int) -> tuple[Status, int]:
    days_ago, hour = (now_ms - at_ms) // DAY_MS, _moment(at_ms).hour
    incident = days_ago == INCIDENT_DAYS_AGO and hour in INCIDENT_HOURS
    draw = rng.random()
    if draw < (_INCIDENT_ERROR_SHARE if incident else _ERROR_SHARE):
        return "error", rng.choice((500, 503) if incident else (400, 429, 500, 503))
    if draw > 1.0 - _ABORTED_SHARE:
        return "aborted", 200
    return "ok", 200


def _written(member: CastMember, rng: Random) -> int:
    return _between(member.appetite * rng.lognormvariate(5.6, 0.8), 4, 4_000)


def _cached(input_tokens: int, rng: Random) -> int:
    if input_tokens < CACHE_PROMPT_TOKENS_MIN or rng.random() < 0.4:
        return 0
    cached = int(input_tokens * rng.uniform(0.4, 0.95))
    return cached - cached % CACHE_STEP_TOKENS


def _between(value: float, least: int, most: int) -> int:
    return min(max(int(value), least), most)


def _moment(instant_ms: int) -> datetime:
    return datetime.fromtimestamp(instant_ms / 1_000, UTC)
