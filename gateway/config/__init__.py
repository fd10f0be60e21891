"""Configuration: YAML or the environment in, a checked and frozen `Config` out.

Read by `gateway.app` and the command line only; every other part gets plain values.
"""

from gateway.config.book import aliases, own_names, price_book
from gateway.config.environment import from_environment
from gateway.config.faults import ConfigError, Fault
from gateway.config.keeping import Redis, Reports
from gateway.config.load import load, parsed
from gateway.config.model import (
    App,
    Budgets,
    Config,
    CustomerDefaults,
    Customers,
    Group,
    Limits,
    Timeouts,
    UnpricedRates,
    Upstream,
)
from gateway.config.resolved import Resolved, configured, resolve, resolved_from_environment
from gateway.config.serving import Server

__all__ = [
    "App",
    "Budgets",
    "Config",
    "ConfigError",
    "CustomerDefaults",
    "Customers",
    "Fault",
    "Group",
    "Limits",
    "Redis",
    "Reports",
    "Resolved",
    "Server",
    "Timeouts",
    "UnpricedRates",
    "Upstream",
    "aliases",
    "configured",
    "from_environment",
    "load",
    "own_names",
    "parsed",
    "price_book",
    "resolve",
    "resolved_from_environment",
]
