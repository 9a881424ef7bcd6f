"""A plain proxy as one writes it with aiohttp: `python -m bench.aiohttp_proxy PORT BACKEND_PORT...`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator

from aiohttp import ClientSession, TCPConnector, web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "te"}


def application(backends: list[str]) -> web.Application:
    turns = itertools.cycle(backends)
    app = web.Application()
    session = web.AppKey("session", ClientSession)

    async def proxy(request: web.Request) -> web.StreamResponse:
        headers = {n: v for n, v in request.headers.items() if n.lower() not in HOP_BY_HOP}
        headers["X-Forwarded-For"] = request.remote or ""
        body = request.content if request.body_exists else None
        async with request.app[session].request(
            request.method, next(turns) + request.path_qs, headers=headers, data=body, allow_redirects=False
        ) as answer:
            kept = [(n, v) for n, v in answer.headers.items() if n.lower() not in HOP_BY_HOP]
            return web.Response(status=answer.status, headers=dict(kept), body=await answer.read())

    async def open_session(app: web.Application) -> AsyncIterator[None]:
        async with ClientSession(connector=TCPConnector(limit=0), auto_decompress=False) as app[session]:
            yield

    app.cleanup_ctx.append(open_session)
    app.router.add_route("*", "/{path:.*}", proxy)
    return app


if __name__ == "__main__":
    web.run_app(
        application([f"http://127.0.0.1:{port}" for port in sys.argv[2:]]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
    )
