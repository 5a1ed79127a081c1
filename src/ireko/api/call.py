"""One request, as a route sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import msgspec
from aiohttp import web

from ireko.api.decode.query import Query
from ireko.api.versions import Version
from ireko.engine.engine import Engine
from ireko.errors import InvalidInput

_Body = TypeVar("_Body")
_LARGEST_BODY = 8 << 20
_PIECE = 1 << 16


@dataclass
class Call:
    """The request, the API version it is in, and what answers it. `stop` ends the daemon."""

    request: web.BaseRequest
    version: Version
    engine: Engine
    stop: Callable[[], None]

    @cached_property
    def query(self) -> Query:
        """What stands behind the `?`."""
        return Query(self.request.rel_url.query)

    async def body(self, kind: type[_Body]) -> _Body:
        """The JSON body; `kind()` when there is none. Raises InvalidInput."""
        content = (await self.raw_body()).strip()
        if content in {b"", b"null"}:
            return kind()
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(f"the request's body can't be read: {error}") from error

    async def raw_body(self) -> bytes:
        """The whole body. Raises InvalidInput when it is larger than any that makes sense."""
        content = bytearray()
        async for piece in self.pieces():
            content += piece
            if len(content) > _LARGEST_BODY:
                raise InvalidInput(f"the request's body is larger than {_LARGEST_BODY} bytes")
        return bytes(content)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes; a slow reader slows the client down."""
        async for piece in self.request.content.iter_chunked(_PIECE):
            yield piece


Handler = Callable[..., Awaitable[web.StreamResponse]]
"""Takes a Call, and the named parts of the path."""
