"""For the programs beside it: do the same calls both ways, and print what a client made of them.

A program is run by whatever Python has its client, so this needs nothing but the standard
library::

    python with_openai.py <provider's URL> <gateway's URL> <token> <customer>

It prints one JSON object: scenario -> [outcome of the direct call, outcome through the gateway].
"""

import asyncio
import hashlib
import inspect
import json
import sys
import traceback

OURS = ("x-farebox-",)
FRAMING = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}
"""Headers that each hop writes anew."""
LOOP = asyncio.new_event_loop()
"""One for all scenarios: clients keep their connections from one to the next."""


def told(headers):
    """Headers as the client has them, without those of the hop and of the gateway."""
    pairs = sorted((name.lower(), value) for name, value in dict(headers).items())
    return {n: v for n, v in pairs if n not in FRAMING and not n.startswith(OURS)}


def plain(value):
    """What `value` says, as JSON."""
    if isinstance(value, bytes):
        return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "model_dump"):
        said = value.model_dump(mode="json", warnings=False)
        return {"class": type(value).__name__, "said": said, "id": _request_id(value)}
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return repr(value)


def _request_id(value):
    return getattr(value, "_request_id", None)


def failure(error):
    """What a caller can learn from an exception."""
    response = getattr(error, "response", None)
    return {
        "error": type(error).__name__,
        "bases": [each.__name__ for each in type(error).__mro__],
        "status": getattr(error, "status_code", None),
        "body": plain(getattr(error, "body", None)),
        "code": plain(getattr(error, "code", None)),
        "request_id": getattr(error, "request_id", None),
        "headers": told(response.headers) if response is not None else None,
    }


def outcome(scenario, *target):
    """Run it, sync or async; nothing that a client raises gets out."""
    try:
        if inspect.iscoroutinefunction(scenario):
            return {"value": plain(LOOP.run_until_complete(scenario(*target)))}
        return {"value": plain(scenario(*target))}
    except Exception as error:
        if "-v" in sys.argv:
            traceback.print_exc()
        return failure(error)


def main(scenarios):
    provider, gateway, token, customer = sys.argv[1:5]
    wanted = sys.argv[5:]
    results = {
        name: [outcome(run, url, token, customer) for url in (provider, gateway)]
        for name, run in scenarios.items()
        if not wanted or name in wanted or "-v" in wanted
    }
    print(json.dumps(results))


def collect():
    """A registry: decorate a scenario with its name."""
    scenarios = {}

    def scenario(name):
        def keep(function):
            assert name not in scenarios, name
            scenarios[name] = function
            return function

        return keep

    return scenarios, scenario
