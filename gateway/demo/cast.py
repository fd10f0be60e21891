"""The demo's cast: customers with a story each, so that a dashboard has something to show.

Pure and deterministic: the same arguments give the same people, whatever the hour.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from gateway.demo.answers import random_from

Story = Literal[
    "whale",  # most of the money is theirs
    "bot",  # calls around the clock, short and cheap
    "near_budget",  # about to be refused; whoever knows what they spent may tighten the budget
    "blocked",  # called until a week before the end, then was blocked
    "unpriced",  # uses the model that has no price
    "emoji",  # hostile to layouts, identifier included
    "right_to_left",
    "slash",  # an identifier that has to be percent-encoded in a path
    "regular",
]
Rhythm = Literal["office", "evening", "steady"]

CUSTOMERS_MAX: Final = 1_000_000
APPS: Final = ("web-app", "support-desk", "nightly-batch")
DELAY_S_MIN: Final = 0.2
DELAY_S_MAX: Final = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CastMember:
    """One demo customer.

    Attributes:
        period_budget: USD a month as a decimal string; None is no limit.
        calls_per_day: On an ordinary working day.
        appetite: Multiplies the tokens of a call: whole contracts instead of questions.
        joined, left: When in the history it calls, as shares of it (0 = its start, 1 = now).
    """

    identifier: str
    name: str
    email: str
    period_budget: str | None = None
    blocked: bool = False
    story: Story = "regular"
    model: str = "demo-small"
    app: str = APPS[0]
    rhythm: Rhythm = "office"
    calls_per_day: float = 5.0
    appetite: float = 1.0
    joined: float = 0.0
    left: float = 1.0


class LiveCall(NamedTuple):
    """One call of the trickle: wait `delay_s`, then let `member` ask `prompt`."""

    delay_s: float
    member: CastMember
    model: str
    prompt: str
    stream: bool


STARS: Final = (
    CastMember(
        identifier="northwind",
        name="Northwind Traders",
        email="ai-team@northwind.example",
        period_budget="500",
        story="whale",
        model="demo-large",
        calls_per_day=45.0,
        appetite=6.0,
    ),
    CastMember(
        identifier="price-bot-7",
        name="Price watcher (bot)",
        email="ops@pricebot.example",
        period_budget="50",
        story="bot",
        app="nightly-batch",
        rhythm="steady",
        calls_per_day=48.0,
    ),
    CastMember(
        identifier="ada@lovelace.example",
        name="Ada Lovelace",
        email="ada@lovelace.example",
        period_budget="2.50",
        story="near_budget",
        model="demo-large",
        calls_per_day=9.0,
    ),
    CastMember(
        identifier="mallory",
        name="Mallory Stone",
        email="mallory@stone.example",
        period_budget="20",
        blocked=True,
        story="blocked",
        calls_per_day=12.0,
        left=0.77,
    ),
    CastMember(
        identifier="lab-42",
        name="Lab 42",
        email="lab@research.example",
        story="unpriced",
        model="demo-unpriced",
        rhythm="evening",
        calls_per_day=6.0,
    ),
    CastMember(
        identifier="fox-🦊",
        name="Zoë 🦊✨ Fuchs",
        email="zoe@fuchs.example",
        period_budget="10",
        story="emoji",
        rhythm="evening",
    ),
    CastMember(
        identifier="layla_haddad",
        name="ليلى حدّاد",
        email="layla@haddad.example",
        period_budget="10",
        story="right_to_left",
        model="demo-large",
    ),
    CastMember(
        identifier="acme/berlin",
        name="ACME Berlin",
        email="berlin@acme.example",
        period_budget="25",
        story="slash",
        app="support-desk",
    ),
)

_FIRST: Final = """
    Amara Bruno Chiara Dmitri Elif Farid Grace Hiroshi Ines Jonas Kavya Liam Mei Noor Oskar
    Priya Quentin Rosa Sven Tomás Uma Viktor Wanjiru Ximena Yusuf Zofia
""".split()  # noqa: SIM905 - fifty quoted names read worse
_LAST: Final = """
    Abebe Becker Costa Dubois Eriksen Ferrari García Hansen Ito Jansen Kowalski Lindqvist
    Moreau Nguyen Okafor Patel Quist Rossi Silva Tanaka Ueda Varga Weiss Xu Yamada Zhang
""".split()  # noqa: SIM905 - as above
_BUDGETS: Final = (None, None, None, "1", "2", "5", "10", "25")
_MODELS: Final = (
    *("demo-small",) * 5,
    *("demo-large",) * 2,
    *("demo-reasoning",) * 2,
    "demo-embedding",
)
_RHYTHMS: Final[tuple[Rhythm, ...]] = ("office", "office", "office", "evening", "steady")

_PROMPTS: Final = (
    "Where is my parcel?",
    "Sum up this week's tickets in three lines.",
    "Translate the greeting into Portuguese.",
    "Which of these two contracts has the shorter notice period?",
    "Write a friendly reminder about invoice 1042.",
    "Name five risks of shipping on a Friday.",
    "Explain our return policy to a ten-year-old.",
    "Turn these notes into a table.",
)


def cast_members(customers: int, seed: int) -> list[CastMember]:
    """The first `customers` of the cast: those with a story, then regulars.

    Raises:
        ValueError: `customers` is not 1 to 1,000,000.
    """
    if not 1 <= customers <= CUSTOMERS_MAX:
        raise ValueError(f"customers must be 1 to {CUSTOMERS_MAX}, not {customers}")
    regulars = (_regular(number, seed) for number in range(1, customers - len(STARS) + 1))
    return [*STARS[:customers], *regulars]


def trickle(seed: int, customers: int = 40) -> Iterator[LiveCall]:
    """Live traffic without end, a call every two seconds or so; busy members call more often."""
    rng = random_from("trickle", seed)
    members = cast_members(customers, seed)
    weights = [member.calls_per_day for member in members]
    while True:
        member = rng.choices(members, weights)[0]
        yield LiveCall(
            delay_s=min(max(rng.expovariate(0.5), DELAY_S_MIN), DELAY_S_MAX),
            member=member,
            model=member.model,
            prompt=rng.choice(_PROMPTS),
            stream=member.model != "demo-embedding" and rng.random() < 0.7,
        )


def _regular(number: int, seed: int) -> CastMember:
    rng = random_from("member", seed, number)
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    return CastMember(
        identifier=f"customer_{number}",
        name=f"{first} {last}",
        email=f"customer_{number}@mail.example",
        period_budget=rng.choice(_BUDGETS),
        model=rng.choice(_MODELS),
        app=rng.choice(APPS),
        rhythm=rng.choice(_RHYTHMS),
        calls_per_day=round(min(1.0 + rng.expovariate(1 / 5.0), 20.0), 1),
        joined=max(0.0, rng.uniform(-0.8, 0.95)),  # about half were there before
        left=1.0 if rng.random() < 0.9 else rng.uniform(0.5, 0.9),
    )
