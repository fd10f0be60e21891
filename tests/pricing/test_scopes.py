"""Where a call was served decides a factor, or nobody knows what it costs there."""

import pytest

from pricing.scopes import factor_in, factors_of, is_region, knows

ONE, MORE, GOV, ODD = (1, 1), (11, 10), (6, 5), (13, 10)
ZONES = factors_of(None, {"us": MORE, "eu": GOV})
REGIONAL = factors_of(None, {"regional": MORE, "us-gov": GOV, "us-gov-west-1": ODD})
REGIONS = factors_of(None, {"ap-south-1": GOV, "eu-west-2": ODD})
GOV_WEST = factors_of(None, {"us-gov-west-1": GOV})
ONE_PRICE = factors_of(None, {})
ONLY_GLOBAL = factors_of(["global"], {})
ANY_REGION = factors_of(["global", "regional"], {})
HELD_AND_NAMED = factors_of(["global", "us"], {"eu": MORE, "ap-south-1": ODD})


@pytest.mark.parametrize(
    ("factors", "scope", "expected"),
    [
        # One price everywhere: it does not matter where.
        (ONE_PRICE, "global", ONE),
        (ONE_PRICE, "eu", ONE),
        (ONE_PRICE, "moon", ONE),
        # Rates of one place alone: what any other costs is not known.
        (ONLY_GLOBAL, "global", ONE),
        (ONLY_GLOBAL, "Global", ONE),
        (ONLY_GLOBAL, "us", None),
        (ONLY_GLOBAL, "regional", None),
        (ONLY_GLOBAL, "us-east-1", None),
        (ONLY_GLOBAL, "us-gov", None),
        (ONLY_GLOBAL, "", None),
        (ANY_REGION, "global", ONE),
        (ANY_REGION, "Regional", ONE),
        (ANY_REGION, "eu-west-2", ONE),
        (ANY_REGION, "us", None),
        (ANY_REGION, "us-gov", None),
        (ANY_REGION, "us-gov-west-1", None),
        (HELD_AND_NAMED, "us", ONE),
        (HELD_AND_NAMED, "eu", MORE),
        (HELD_AND_NAMED, "ap-south-1", ODD),
        (HELD_AND_NAMED, "ap-south-2", None),  # a dearer region says nothing of the others
        (HELD_AND_NAMED, "regional", None),
        # Zones: these, or everywhere.
        (ZONES, "global", ONE),
        (ZONES, "us", MORE),
        (ZONES, "EU", GOV),
        (ZONES, "apac", None),
        (ZONES, "regional", None),
        (ZONES, "data_zone", None),
        (ZONES, "us-east-1", None),
        (ZONES, "us ", None),
        (ZONES, "", None),
        # Any region is regional, but for those with prices of their own.
        (REGIONAL, "regional", MORE),
        (REGIONAL, "us-east-1", MORE),
        (REGIONAL, "Us-East-1", MORE),
        (REGIONAL, "ap-southeast-3", MORE),
        (REGIONAL, "us-gov", GOV),
        (REGIONAL, "us-gov-west-1", ODD),
        (REGIONAL, "us-gov-east-1", GOV),
        (REGIONAL, "us", None),
        (REGIONAL, "eastus2", None),
        # Only single regions are dearer.
        (REGIONS, "ap-south-1", GOV),
        (REGIONS, "us-east-1", ONE),
        (REGIONS, "regional", ONE),
        (REGIONS, "us-gov", None),
        (REGIONS, "us-gov-west-1", None),
        (REGIONS, "us-eats", None),
        (GOV_WEST, "regional", ONE),
        (GOV_WEST, "us-gov-west-1", GOV),
        (GOV_WEST, "us-gov-east-1", None),
        (GOV_WEST, "us-gov", None),
    ],
)
def test_the_factor_of_a_place(factors, scope, expected) -> None:
    assert expected == factor_in(factors, scope)


@pytest.mark.parametrize(
    ("scopes", "scope", "expected"),
    [
        (ZONES, "us", True),
        (ZONES, "regional", False),
        (ZONES, "us-east-1", False),
        (ZONES, "global", True),
        ((), "global", True),
        ((), "us", False),
        (REGIONS, "us-east-1", True),
        (REGIONS, "us-east", False),
    ],
)
def test_a_provider_knows_its_places(scopes, scope, expected) -> None:
    assert expected == knows(scopes, scope)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("us-east-1", True),
        ("ap-southeast-3", True),
        ("us-gov-west-1", True),
        ("us", False),
        ("us-gov", False),
        ("eastus2", False),
        ("us-east-", False),
        ("us-east-1 ", False),
        ("us-east-123", False),
    ],
)
def test_a_region_is_spelled_like_one(scope, expected) -> None:
    assert expected == is_region(scope)
