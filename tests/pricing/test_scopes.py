"""Where a call was served decides a factor, or nobody knows what it costs there."""

import pytest

from pricing.scopes import factor_in, is_region, knows

ONE, MORE, GOV, ODD = (1, 1), (11, 10), (6, 5), (13, 10)
ZONES = {"global": ONE, "us": MORE, "eu": GOV}
REGIONAL = {"global": ONE, "regional": MORE, "us-gov": GOV, "us-gov-west-1": ODD}
REGIONS = {"global": ONE, "ap-south-1": GOV, "eu-west-2": ODD}
GOV_WEST = {"global": ONE, "us-gov-west-1": GOV}


@pytest.mark.parametrize(
    ("factors", "scope", "expected"),
    [
        # One price everywhere: it does not matter where.
        ({}, "global", ONE),
        ({}, "eu", ONE),
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
