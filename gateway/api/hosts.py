"""Which Host headers are answered: loopback names, IP addresses, and what is configured.

A web page elsewhere can point its own name at this address and let a browser send requests
here ("DNS rebinding"); its name is then in the Host header, and is refused.
"""

import ipaddress
from collections.abc import Collection

from gateway.api.answers import MalformedRequest


def check_host(host: str, allowed: Collection[str]) -> None:
    """Accept or refuse a Host header.

    Args:
        allowed: Names in lower case, without a port.

    Raises:
        MalformedRequest: the host is not one of ours.
    """
    name = _name(host)
    if name in allowed or name == "localhost" or name.endswith(".localhost") or _is_ip(name):
        return
    raise MalformedRequest(
        "This Host is not served here. Add the name to server.hosts in the configuration."
    )


def _name(host: str) -> str:
    """Without the port and a trailing dot; an IPv6 address without its brackets."""
    lowered = host.strip().lower()
    if lowered.startswith("["):
        return lowered[1:].partition("]")[0]
    return lowered.partition(":")[0].removesuffix(".")


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
