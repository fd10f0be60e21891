"""What a user's latest calls say of it: how long most of them take, which model it asks most."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.store.archive import RecentCall


@dataclass(frozen=True, slots=True)
class Lately:
    """In whole milliseconds, None where no call says how long it took; "": there is no call."""

    p95_ms: int | None = None
    top_model: str = ""


NOTHING_LATELY: Final = Lately()


def lately(calls: Sequence[RecentCall]) -> Lately:
    """Of the models asked equally often, that of the latest call."""
    if not calls:
        return NOTHING_LATELY
    durations = [call.latency_ms for call in calls if call.latency_ms is not None]
    [(top_model, _)] = Counter(call.model for call in calls).most_common(1)
    return Lately(quantile(durations, 0.95), top_model)


def quantile(values: list[int], share: float) -> int | None:
    """The nearest rank; None of nothing. Sorts `values`."""
    if not values:
        return None
    values.sort()
    return values[min(int(share * len(values)), len(values) - 1)]
