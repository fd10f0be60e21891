"""What one call can cost at most, and the smaller output that still fits under ``fit``.

    wanted   the whole bound: all input, all output, every fee, at the dearest rates
    least    the same with the smallest output that is of use: less than that is refused
    granted  by the ledger, in between; the output cap is worked out from it

What cannot be bounded is refused with the field that is to blame, but only where a limit
must be kept: who has none may call whatever there is.
"""

from dataclasses import dataclass
from typing import Final

from gateway.errors import InvalidCall
from gateway.ledger.bounds import AMOUNT_PICO_MAX, Bound
from gateway.openai.call import Call
from gateway.openai.hosted_tools import QUERIES_AT_WILL
from gateway.openai.output_cap import OUTPUT_CAP_TOKENS_MIN
from gateway.rating import Rated
from pricing.bound import Fees, output_within, upper_bound
from pricing.card import Card, Price

REASONING_TOKENS_MIN: Final = 4_096
"""The least output of use where hidden reasoning comes out of it."""

IMPLICIT_SHARE: Final = 2
"""Who named no maximum gets at most one in so many of what remains, so that the next call
finds room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgeting:
    """How budgets are kept.

    Attributes:
        binding: False: limits are counted and reported, none refuses a call.
        fit: A call that does not fit gets a smaller output cap, if that helps.
        output_tokens_min: The smallest cap that is of use.
    """

    binding: bool = True
    fit: bool = True
    output_tokens_min: int = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How large one call can become.

    Attributes:
        answers: Each has at most `output_tokens`, and `predicted_tokens` on top: the choices,
            times the turns that tools of the provider's lead to.
        least_tokens: As little output as each may be given; `output_tokens` if no less.
        share: Of what remains, one in so many is the most to take.
        room_tokens: What the context leaves beside the input; None: unknown.
        bounded: False: some maximum is unknown, and taken for 0.
    """

    input_tokens: int
    output_tokens: int
    least_tokens: int
    answers: int = 1
    predicted_tokens: int = 0
    fees: Fees = ()
    share: int = 1
    room_tokens: int | None = None
    bounded: bool = True

    def bound(self, price: Price, markup_ppm: int) -> Bound:
        """What to hold; no more than the ledger takes, which is more than most budgets have."""
        wanted = least = min(self._pico(price, self.output_tokens, markup_ppm), AMOUNT_PICO_MAX)
        if self.least_tokens < self.output_tokens:
            least = min(self._pico(price, self.least_tokens, markup_ppm), AMOUNT_PICO_MAX)
        of_input = upper_bound(
            price, input_tokens=self.input_tokens, output_tokens=0, markup_ppm=markup_ppm
        )
        return Bound(wanted, max(least, min(wanted, 1)), self.share, min(of_input, AMOUNT_PICO_MAX))

    def cap_within(self, granted_pico: int, price: Price, markup_ppm: int) -> int | None:
        """The largest output cap of each answer that keeps the call within `granted_pico`.

        None: all that it may write fits, or it has no cap to be lowered.
        """
        if self.least_tokens == self.output_tokens:
            return None
        if self._pico(price, self.output_tokens, markup_ppm) <= granted_pico:
            return None
        tokens = output_within(
            granted_pico,
            price,
            input_tokens=self.input_tokens,
            fees=self.fees,
            markup_ppm=markup_ppm,
        )
        assert tokens is not None, "output that costs nothing was found too dear"
        cap = tokens // self.answers - self.predicted_tokens
        if self.share > 1 and self.room_tokens is not None:
            # Some providers refuse a cap that reaches beyond the context.
            cap = min(cap, max(self.room_tokens, self.least_tokens))
        assert cap >= self.least_tokens, "less was granted than the least"
        return cap

    def _pico(self, price: Price, output_tokens: int, markup_ppm: int) -> int:
        return upper_bound(
            price,
            input_tokens=self.input_tokens,
            output_tokens=self.answers * (output_tokens + self.predicted_tokens),
            fees=self.fees,
            markup_ppm=markup_ppm,
        )


def no_price(call: Call, rated: Rated, scope: str | None) -> InvalidCall:
    """The refusal of a call that a budget is kept for and nobody knows the price of.

    Args:
        scope: Where its upstream serves, as configured.
    """
    place = scope or rated.scope
    where = f" where it is served ({place})" if rated.price and place else ""
    return InvalidCall(
        f"Model {call.model!r} has no price{where}, so a budget cannot be kept. "
        "Add it under 'prices:' in the configuration.",
        code="model_not_priced",
        param="model",
    )


def extent_of(
    call: Call, card: Card, price: Price, *, limited: bool, budgeting: Budgeting
) -> Extent:
    """How large `call` can become.

    Args:
        limited: A limit must be kept, so everything needs a bound.

    Raises:
        InvalidCall: ``call_not_boundable``; names the field.
    """
    uses = _tool_uses(call, card, price, limited=limited)
    input_tokens = _input_tokens(call, card, uses)
    if input_tokens is None and limited:
        to_blame = call.hosted.field if call.hosted else call.traits.input_field
        raise _unknown(call, "context", to_blame)
    field = cap_field(call, card)
    own = call.output_caps.obeyed(field=field, provider=card.provider)
    output_tokens = _output_tokens(call, card, own)
    if output_tokens is None and limited:
        settable = field or "max_tokens"
        raise _unknown(call, "maximum output", settable, f", or set {settable}")
    known = input_tokens is not None and output_tokens is not None and uses is not None
    input_tokens, output_tokens = input_tokens or 0, output_tokens or 0
    fits = limited and budgeting.fit and field in call.traits.caps
    context = card.context_tokens
    return Extent(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        least_tokens=min(output_tokens, _least(call, card, budgeting)) if fits else output_tokens,
        answers=_answers(call, uses),
        predicted_tokens=call.predicted_tokens,
        fees=_fees(call, price, uses),
        share=IMPLICIT_SHARE if fits and own is None else 1,
        room_tokens=None if context is None else context - input_tokens,
        bounded=known,
    )


def cap_field(call: Call, card: Card) -> str | None:
    """The field that limits the call's output: the route's only one, or the card's."""
    return call.traits.cap_field or card.output_cap_field


def _output_tokens(call: Call, card: Card, own: int | None) -> int | None:
    """The most that each answer has, or, where the body says it, that all of them have."""
    told = call.output.tokens
    if told is not None:
        most = card.output_max_tokens
        return min(told, most * call.choices) if most else told
    return card.output_max_tokens if own is None else own


def _answers(call: Call, uses: int | None) -> int:
    return call.choices * (1 + (uses or 0)) if call.output.tokens is None else 1


def _fees(call: Call, price: Price, uses: int | None) -> Fees:
    """What is billed by the piece at most: tools, and the call itself where its model is."""
    tools = tuple((unit, uses) for unit in call.hosted.units or ()) if call.hosted and uses else ()
    return tools + priced(call.output.pieces, price)


def priced(pieces: Fees, price: Price) -> Fees:
    """Those of the pieces that the model has a fee for."""
    return tuple((unit, count) for unit, count in pieces if price.fee(unit) is not None)


def _tool_uses(call: Call, card: Card, price: Price, *, limited: bool) -> int | None:
    """How often the provider runs tools of its own, at most; None: nothing bounds it."""
    hosted, uses = call.hosted, call.tool_uses_max
    if hosted is None:
        return 0
    has_fees = hosted.units is not None and all(unit in price.fees for unit in hosted.units)
    has_fees = has_fees and card.provider not in QUERIES_AT_WILL
    if uses is not None and has_fees:
        return uses
    if not limited:
        return None
    remedy = "Set max_tool_calls, or leave" if has_fees else "Leave"
    raise InvalidCall(
        "What a tool run by the provider reads and costs has no bound, so a budget cannot be "
        f"kept. {remedy} {hosted.field} out.",
        code="call_not_boundable",
        param=hosted.field,
    )


def _input_tokens(call: Call, card: Card, uses: int | None) -> int | None:
    context, told = card.context_tokens, call.input_bound_tokens
    if call.traits.each_input:  # the context is that of each input, not of all
        if call.opaque_inputs and context is None:
            return None
        return told + call.opaque_inputs * (context or 0)
    if call.hosted is not None and uses is not None:
        return None if context is None else context * (1 + uses)
    if call.opaque_inputs:
        return context
    return told if context is None else min(told, context)


def _least(call: Call, card: Card, budgeting: Budgeting) -> int:
    """The smallest cap that is of use, and that the provider takes."""
    return max(
        budgeting.output_tokens_min,
        REASONING_TOKENS_MIN if card.reasoning else 0,
        OUTPUT_CAP_TOKENS_MIN,
        call.thinking_tokens + 1,
    )


def _unknown(call: Call, what: str, param: str, remedy: str = "") -> InvalidCall:
    return InvalidCall(
        f"What this call can cost has no bound: model {call.model!r} has no known {what}. "
        f"Add it under 'prices:' in the configuration{remedy}.",
        code="call_not_boundable",
        param=param,
    )
