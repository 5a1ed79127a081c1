"""From a request to an answer: version, route, call, and what is said when something goes wrong."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web

from ireko.api import versions
from ireko.api.answers import error_answer, refusal
from ireko.api.call import Call
from ireko.api.router import Found, Router
from ireko.api.routes.table import ROUTES
from ireko.engine.engine import Engine
from ireko.errors import Denied, IrekoError

_log = logging.getLogger(__name__)
_PORT = re.compile(r":\d+$")
_OWN_NAMES = {"localhost", "127.0.0.1", "[::1]"}
_PATIENCE = 5.0  # seconds that orders have to finish when the daemon ends


class Dispatcher:
    """Answers requests; `close` ends what is still being answered."""

    def __init__(self, engine: Engine, *, stop: Callable[[], None]) -> None:
        self._engine = engine
        self._stop = stop
        self._router = Router(ROUTES)
        self._lasting: set[asyncio.Task[Any]] = set()
        self._orders: set[asyncio.Task[Any]] = set()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer. Nothing but cancellation and ConnectionError (the client is gone, or must be told so) gets out."""
        try:
            return await self._answer(request)
        except IrekoError as error:
            if _begun(request):
                raise ConnectionAbortedError(str(error)) from error
            return refusal(error)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - the border: whatever went wrong is logged, and told without its inside
            reference = secrets.token_hex(4)
            _log.exception("error %s in %s %s", reference, request.method, request.path)
            if _begun(request):
                raise ConnectionAbortedError(f"error {reference}") from None
            return error_answer(500, f"internal error {reference}", hint="the daemon's log has the details")

    async def close(self) -> None:
        """End streams at once, and orders after a while."""
        await _cancel(self._lasting)
        if self._orders:
            await asyncio.wait(self._orders, timeout=_PATIENCE)
        await _cancel(self._orders)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        _refuse_web_pages(request)
        version, path = versions.split(request.path)
        found = self._router.find(request.method, path)
        if found is None:
            return error_answer(404, "page not found")
        work = found.route.handler(Call(request, version, self._engine, self._stop), **found.parts)
        assert asyncio.iscoroutine(work)
        return await self._run(found, work, request)

    async def _run(
        self, found: Found, work: Coroutine[Any, Any, web.StreamResponse], request: web.BaseRequest
    ) -> web.StreamResponse:
        if found.route.lasting:
            task = asyncio.current_task()
            assert task is not None
            self._lasting.add(task)
            try:
                return await work
            finally:
                self._lasting.discard(task)
        if request.method in {"GET", "HEAD"}:
            return await work
        order = asyncio.create_task(work, name=f"{request.method} {request.path}")
        self._orders.add(order)
        order.add_done_callback(self._carried_out)
        return await asyncio.shield(order)

    def _carried_out(self, order: asyncio.Task[Any]) -> None:
        self._orders.discard(order)
        if not order.cancelled() and (error := order.exception()) is not None:
            # Usually somebody waits for it and is told; when the client has left, nobody is.
            _log.debug("%s: %s", order.get_name(), error)


def _refuse_web_pages(request: web.BaseRequest) -> None:
    """A web page that the user happens to look at must not command the daemon, nor read from it. Raises Denied.

    Browsers send `Origin` with what pages ask of others; a page whose own name was made to point at this host asks by that
    name.
    """
    if "Origin" in request.headers:
        raise Denied("requests from web pages are refused")
    reached = request.transport.get_extra_info("sockname") if request.transport else None
    if isinstance(reached, tuple) and _PORT.sub("", request.host) not in _OWN_NAMES:
        raise Denied(f'"{request.host}" is no name of this daemon', hint="tcp://127.0.0.1:PORT, or localhost")


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    pending = list(tasks)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


def _begun(request: web.BaseRequest) -> bool:
    """Whether some of the answer was sent: then all that is left is to break the connection, so that the client notices."""
    return request.writer.output_size > 0
