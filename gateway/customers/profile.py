"""Profile: what is known of a customer; Terms: what that means for the next call.

A profile lives in the hash ``{p}p:<number>``, one field a fact. A field that is absent
falls back to the configured default; one that is present and empty says "none" on purpose.
Every write raises `version`, and who decides by a profile hands its version to the script,
which refuses when it is no longer current.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple

import orjson

from gateway.customers.fields import METADATA_BYTES_MAX, Canonical
from gateway.customers.windows import CUSTOM, KIND_OF, Anchor, Calendar, Duration, Windows

ANONYMOUS: Final = "~anonymous"
REMOVE: Final = "\0"
"""What the scripts take as: remove this field."""

Count = Literal["charge", "cost"]
"""What limits are about: what customers are charged, or what it cost."""

ToldLimits = tuple[str, str | int, str | int]
"""As the scripts take limits: the period's window kind and amount, the total; '' for none."""

_PERIOD_FIELDS: Final = frozenset({"period_start", "period_end"})
_ANCHOR_FIELDS: Final = _PERIOD_FIELDS | {"budget_duration"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Amounts in pico-USD; None: none.

    Attributes:
        credit_pico: What was credited, in sum; signed.
        carried_pico: What deleted customers of that name had spent, less their credits.
    """

    period_budget_pico: int | None = None
    total_budget_pico: int | None = None
    budget_duration: Duration = Duration.MONTHLY
    rate_limit: int | None = None
    markup_ppm: int = 0
    credit_pico: int = 0
    carried_pico: int = 0

    @property
    def total_limit_pico(self) -> int | None:
        """What may be spent in all: the budget and what was credited, less what was carried."""
        if self.total_budget_pico is None:
            return None
        return self.total_budget_pico + self.credit_pico - self.carried_pico

    @property
    def limited(self) -> bool:
        return self.period_budget_pico is not None or self.total_budget_pico is not None


class Left(NamedTuple):
    """What is left of deleted customers of one name.

    Attributes:
        mark: As the scripts want it told by who makes one anew.
        charge_pico, cost_pico: What they have spent and held, less their credits.
        at_ms: When the last of them was deleted.
    """

    mark: str = ""
    charge_pico: int = 0
    cost_pico: int = 0
    at_ms: int = 0

    @classmethod
    def from_reply(cls, reply: Sequence[bytes | None]) -> "Left":
        """Read what `LEFT_FIELDS` say."""
        mark, charge, cost, at_ms = reply
        return cls((mark or b"").decode(), int(charge or 0), int(cost or 0), int(at_ms or 0))


NOTHING_LEFT: Final = Left()
LEFT_FIELDS: Final = ("mark", "charge", "cost", "at_ms")


@dataclass(frozen=True, slots=True)
class Profile:
    """A customer's stored fields, as the store has them.

    Attributes:
        number: Names the customer in every key and event.
        version: 0 for a customer that is not stored yet.
        stored: The hash: field name -> encoded value.
        left: Of one that is not stored: what is left of others of that name.
    """

    identifier: str
    number: int
    version: int
    stored: Mapping[str, str]
    left: Left = NOTHING_LEFT

    @classmethod
    def from_reply(cls, identifier: str, number: int, reply: list[bytes]) -> "Profile":
        stored = {
            name.decode(): value.decode()
            for name, value in zip(reply[::2], reply[1::2], strict=True)
        }
        return cls(identifier, number, int(stored.pop("version", "0")), stored)

    def numbered(self, number: int) -> "Profile":
        """The same customer, made anew under another number."""
        return replace(self, number=number)

    @property
    def told_version(self) -> int | str:
        """As the scripts take it."""
        return self.version or f"0{self.left.mark}"

    @property
    def blocked(self) -> bool:
        return self.stored.get("blocked") == "1"

    @property
    def pinned(self) -> frozenset[str]:
        return frozenset(filter(None, self.stored.get("pinned", "").split(",")))

    @property
    def metadata(self) -> dict[str, Any]:
        decoded: dict[str, Any] = orjson.loads(self.stored.get("metadata") or "{}")
        return decoded

    @property
    def group(self) -> str | None:
        return self.text("group_identifier")

    def text(self, field: str) -> str | None:
        return self.stored.get(field) or None

    def whole(self, field: str) -> int | None:
        value = self.stored.get(field)
        return int(value) if value else None

    @property
    def anchor(self) -> Anchor | None:
        start = self.text("period_start")
        if start is None:
            return None
        return Anchor(start, self.text("period_end"), self._duration(Duration.MONTHLY))

    def limits(self, defaults: Limits, count: Count = "charge") -> Limits:
        """Its own limits, and the defaults where it has none. The anonymous have no defaults.

        Args:
            count: What limits are about.
        """
        if self.identifier == ANONYMOUS:
            return Limits()
        return Limits(
            period_budget_pico=self._or("period_budget", defaults.period_budget_pico),
            total_budget_pico=self._or("total_budget", defaults.total_budget_pico),
            budget_duration=self._duration(defaults.budget_duration),
            rate_limit=self._or("rate_limit", defaults.rate_limit),
            markup_ppm=self._or("markup_percentage", defaults.markup_ppm) or 0,
            credit_pico=self.whole("credit") or 0,
            carried_pico=self.whole(f"carried_{count}") or 0,
        )

    def _or(self, field: str, default: int | None) -> int | None:
        return self.whole(field) if field in self.stored else default

    def _duration(self, default: Duration) -> Duration:
        stored = self.text("budget_duration")
        return Duration(stored) if stored else default


@dataclass(frozen=True, slots=True)
class Upsert:
    """Fields to write, and the profile they make.

    Attributes:
        pairs: field, value, field, value ... as the scripts take them; empty: nothing changes.
        moves_anchor: The custom window starts afresh.
    """

    profile: Profile
    pairs: tuple[str, ...]
    moves_anchor: bool
    warnings: tuple[str, ...] = ()


def upsert(
    profile: Profile, change: Mapping[str, Canonical], *, now_ms: int, by_call: bool
) -> Upsert:
    """What a change of fields writes.

    Only what differs is written. A call never overrides a pinned field; null from a call
    means "none", null from management removes the field, so that the default applies.
    Whatever management sets is pinned until it is cleared there.
    """
    stored = dict(profile.stored)
    # Half of a period makes no sense beside the other half of another.
    kept = profile.pinned
    if not kept.isdisjoint(_PERIOD_FIELDS):
        kept |= _PERIOD_FIELDS
    warnings = []
    for name, value in change.items():
        if by_call and name in kept:
            continue
        if name == "metadata" and isinstance(value, dict):
            merged = orjson.dumps({**profile.metadata, **value})
            if len(merged) > METADATA_BYTES_MAX:
                warnings.append(f"metadata: more than {METADATA_BYTES_MAX} bytes after merging")
                continue
            stored[name] = merged.decode()
        elif value is None and not by_call:
            stored.pop(name, None)
        else:
            stored[name] = _encoded(value)
    if not by_call:
        pinned = profile.pinned | {n for n, v in change.items() if v is not None}
        pinned -= {n for n, v in change.items() if v is None}
        stored["pinned"] = ",".join(sorted(pinned))
    return _written(profile, stored, tuple(warnings), now_ms)


def _written(
    profile: Profile, stored: dict[str, str], warnings: tuple[str, ...], now_ms: int
) -> Upsert:
    changed = {name: value for name, value in stored.items() if profile.stored.get(name) != value}
    changed |= {name: REMOVE for name in profile.stored if name not in stored}
    if changed.get("pinned") == "" and "pinned" not in profile.stored:
        del changed["pinned"], stored["pinned"]
    if profile.version == 0:
        changed["identifier"] = stored["identifier"] = profile.identifier
        changed["created_ms"] = stored["created_ms"] = str(now_ms)
        for count, amount in zip(("charge", "cost"), profile.left[1:3], strict=True):
            if amount:
                changed[f"carried_{count}"] = stored[f"carried_{count}"] = str(amount)
    if not changed:
        return Upsert(profile, (), moves_anchor=False, warnings=warnings)
    changed["updated_ms"] = stored["updated_ms"] = str(now_ms)
    after = Profile(profile.identifier, profile.number, profile.version + 1, stored)
    moves_anchor = not _ANCHOR_FIELDS.isdisjoint(changed) and profile.anchor != after.anchor
    return Upsert(after, tuple(_flat(changed)), moves_anchor=moves_anchor, warnings=warnings)


@dataclass(frozen=True, slots=True)
class Terms:
    """What binds a customer's next call.

    Attributes:
        period_kind: The window that the period budget counts in; None without one.
        windows: The windows of now; their ids go into the hold.
        shared: Its group or the app has a limit too.
    """

    limits: Limits
    period_kind: str | None
    windows: Windows
    shared: bool = False

    @property
    def limited(self) -> bool:
        return self.limits.limited or self.shared

    @property
    def told(self) -> ToldLimits:
        return told(self.limits, self.period_kind)

    @property
    def period_resets_ms(self) -> int | None:
        return self.windows.by_kind[self.period_kind].end_ms if self.period_kind else None


def terms(
    profile: Profile, defaults: Limits, calendar: Calendar, now_ms: int, count: Count = "charge"
) -> Terms:
    return terms_of(profile.limits(defaults, count), profile.anchor, calendar, now_ms)


def terms_of(limits: Limits, anchor: Anchor | None, calendar: Calendar, now_ms: int) -> Terms:
    """What these limits mean now; with an `anchor` the period budget counts in its period."""
    return Terms(limits, period_kind(limits, anchor), calendar.at(now_ms, anchor))


def period_kind(limits: Limits, anchor: Anchor | None) -> str | None:
    """The window that the period budget counts in; None without one."""
    if limits.period_budget_pico is None:
        return None
    return CUSTOM if anchor else KIND_OF[limits.budget_duration]


def told(limits: Limits, kind: str | None) -> ToldLimits:
    period, total = limits.period_budget_pico, limits.total_limit_pico
    return kind or "", "" if period is None else period, "" if total is None else total


def _encoded(value: Canonical) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "1" if value else "0"
        case dict():
            return orjson.dumps(value).decode()
        case _:
            return str(value)


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [part for pair in fields.items() for part in pair]
