"""What a call is billed, whoever ends it: by the model that served it, where it was served."""

from dataclasses import dataclass

from msgspec import structs

from gateway.event import Source
from gateway.openai.answer import Reading
from gateway.rating import Bill, Rated, Rating, bill, bill_reported
from pricing.money import PPM
from pricing.usage import Usage

BYTES_PER_TOKEN = 4


def tokens_of(text_bytes: int) -> int:
    """About how many tokens a text has."""
    return -(-text_bytes // BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Billing:
    """The terms of one call, fixed when it began.

    Attributes:
        model: As the upstream calls it.
        rated: The price of that model.
        rating: As it was when the call began; a reload changes nothing for it.
        scope: Where the upstream serves, as configured.
        trusts_reported: What the provider says that it cost is what it cost.
        service_tier: As it was asked for.
        hold_pico: What was held for it.
        bounded: That is the most that it can cost; not so only without a limit.
    """

    model: str
    started_ms: int
    rated: Rated
    rating: Rating
    scope: str | None
    trusts_reported: bool
    service_tier: str | None
    markup_ppm: int
    hold_pico: int
    bounded: bool

    def served(self, reading: Reading) -> Rated:
        """The price of the model that served the call, where it is known; else of the one asked."""
        served = reading.model
        if not served or served == self.model:
            return self.rated
        scope = reading.scope or self.scope
        return self.rating.served(self.rated, served, self.started_ms, scope)

    def scope_of(self, reading: Reading, rated: Rated) -> str | None:
        """Where it was served: as the answer says, else the configuration, else its name."""
        return reading.scope or self.scope or rated.scope

    def bill(self, usage: Usage, source: Source, reading: Reading, completed_ms: int) -> Bill:
        """What it costs and what is charged; never raises."""
        rated, reported = self.served(reading), reading.reported_cost_pico
        if self.trusts_reported and source is Source.REPORTED and reported is not None:
            return bill_reported(reported, markup_ppm=self.markup_ppm)
        billed = bill(
            rated,
            usage,
            markup_ppm=self.markup_ppm,
            service_tier=reading.service_tier or self.service_tier,
            scope=self.scope_of(reading, rated),
            completed_ms=completed_ms,
        )
        beyond = source is Source.ESTIMATED and billed.charge_pico > self.hold_pico
        if (beyond and self.bounded) or (billed.problem and self.hold_pico):
            # An estimate never passes the hold; and what has no rate costs what was held,
            # since nothing that was sent is free.
            return self.whole_hold(billed)
        return billed

    def whole_hold(self, billed: Bill) -> Bill:
        """`billed` at all that was held."""
        cost = self.hold_pico * PPM // (PPM + self.markup_ppm)
        return structs.replace(billed, charge_pico=self.hold_pico, cost_pico=cost, unpriced=False)


def counted_so_far(used: Usage, uncounted_bytes: int) -> Usage:
    """A usage of a part of an answer, and the text that came after it."""
    return structs.replace(used, output_tokens=used.output_tokens + tokens_of(uncounted_bytes))
