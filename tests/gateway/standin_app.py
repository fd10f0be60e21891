"""A stand-in for `gateway.app` that counts calls in the store, to test serving alone."""

import asyncio
import os
import sys
import types


def build_app(_config, *, store_url, admin_key):
    import redis.asyncio as redis

    assert admin_key

    async def lifespan(receive, send):
        await receive()
        if os.environ.get("BROKEN"):
            await send({"type": "lifespan.startup.failed", "message": "broken on request"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        if scope["path"] == "/slow":
            await asyncio.sleep(1)
        async with redis.from_url(store_url) as store:
            body = str(await store.incr("calls")).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        return await send({"type": "http.response.body", "body": body})

    return app


# Worker processes import this file again, and find it in place as well.
module = types.ModuleType("gateway.app")
module.__dict__["build_app"] = build_app
sys.modules["gateway.app"] = module

if __name__ == "__main__":
    from gateway.cli import main

    main()
