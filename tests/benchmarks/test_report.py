"""The table says what was measured, absolute and as a ratio."""

from benchmarks.measure import percentile
from benchmarks.report import medians, table, with_added

P50 = "time beside the upstream's, 200 calls/s, p50, ms"


def test_the_ratio_is_to_nginx_of_the_same_run() -> None:
    """A figure that a target does not have is a dash, not a zero."""
    figures = {"direct": {}, "nginx": {"CPU, µs": 20.0}, "farebox": {"CPU, µs": 70.0, "x": 1234.5}}

    assert [
        "|  | direct | nginx | farebox | farebox / nginx |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| CPU, µs | - | 20 | 70 | 3.50 x |",
        "| x | - | - | 1,234 | - |",
    ] == table(figures).splitlines()


def test_added_latency_is_over_direct() -> None:
    """Both times leave the upstream's own out, so the difference is the target's."""
    figures = with_added({"direct": {P50: 0.15}, "nginx": {P50: 0.40}})

    assert 0.25 == figures["nginx"]["added latency, 200 calls/s, p50, ms"]
    assert {P50} == set(figures["direct"])


def test_repeats_are_medians() -> None:
    """One slow run does not move the figure."""
    assert {"a": 2.0} == medians([{"a": 1.0}, {"a": 90.0}, {"a": 2.0}])


def test_percentiles_are_values_that_occurred() -> None:
    """No interpolation: p99 of a hundred is the ninety-ninth."""
    values = [float(value) for value in range(1, 101)]

    assert 50 == percentile(values, 0.5)
    assert 99 == percentile(values, 0.99)
    assert 7 == percentile([7.0], 0.99)
