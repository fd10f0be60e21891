"""What models cost, and what a call would."""

from typing import Final

from gateway.api import prices
from gateway.api.openapi.operations.operation import Operation

_PRICES: Final = "Prices"

PRICES: Final = (
    Operation(
        method="POST",
        path="/api/estimate",
        tag="Estimate",
        says="What a call would cost at most, and whether it would be let in. Nothing is sent.",
        query=("app", "temporary_key"),
        body="Estimate",
        answer="Estimate",
        refusals=(400,),
    ),
    Operation(
        method="GET",
        path="/api/prices",
        tag=_PRICES,
        says="The price book.",
        query=prices.PARAMETERS,
        answer="PricePage",
    ),
    Operation(
        method="GET",
        path="/api/prices/{model}",
        tag=_PRICES,
        says="What a model costs and has cost, wherever it is served.",
        query=prices.OF_ONE,
        answer="Prices",
        refusals=(404,),
    ),
    Operation(
        method="GET",
        path="/api/prices/{provider}/{model}",
        tag=_PRICES,
        says="The same, of one provider.",
        query=prices.OF_ONE,
        answer="Prices",
        refusals=(404,),
    ),
    Operation(
        method="GET",
        path="/api/models/public",
        tag=_PRICES,
        says="Models and prices in Keywords AI's shape.",
        answer="PublicModels",
    ),
)
