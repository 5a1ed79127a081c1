"""An attachment of the engine's and a client's raw stream, joined until one of them ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Container as Collection

from aiohttp import web

from ireko.api.answers import HEADERS
from ireko.api.call import Call
from ireko.api.hijack import MULTIPLEXED, RAW, RawStream, hijack, hijacked
from ireko.api.versions import MULTIPLEXED_TYPE
from ireko.drivers.base import Stream
from ireko.engine.attach import Attachment
from ireko.errors import IrekoError
from ireko.model.framing import frame


async def connect(
    call: Call, attachment: Attachment, *, takes_input: bool, streams: Collection[Stream], multiplexed: bool
) -> web.StreamResponse:
    """Take the connection over and move bytes both ways; returns when the output ends or the client goes.

    The end of the client's input ends the process's input, and the output goes on. `streams` are the outputs to send;
    `multiplexed` sends them as frames.
    """
    try:
        named = multiplexed and call.version >= MULTIPLEXED_TYPE
        raw = await hijack(call.request, headers=HEADERS, content_type=MULTIPLEXED if named else RAW)
        typing = asyncio.create_task(_input(raw, attachment, takes_input=takes_input))
        try:
            await _output(attachment, raw, streams=streams, multiplexed=multiplexed)
        finally:
            typing.cancel()
            await asyncio.gather(typing, return_exceptions=True)
    finally:
        await attachment.close()
    return hijacked()


async def _input(raw: RawStream, attachment: Attachment, *, takes_input: bool) -> None:
    # What the process does not take, because it has ended or never wanted input, is read all the same: the connection's
    # end is behind it.
    takes = takes_input
    async for data in raw.input():
        if takes:
            try:
                await attachment.write(data)
            except IrekoError:
                takes = False
    if takes:
        with contextlib.suppress(IrekoError):
            await attachment.close_input()


async def _output(attachment: Attachment, raw: RawStream, *, streams: Collection[Stream], multiplexed: bool) -> None:
    output = attachment.output()
    try:
        async for stream, data in output:
            if stream in streams and data:
                await raw.send(frame(stream.value, data) if multiplexed else data)
    finally:
        await _close(output)


async def _close(output: object) -> None:
    # An asynchronous generator that is left in the middle is ended now, not when it is found to be garbage.
    if (aclose := getattr(output, "aclose", None)) is not None:
        await aclose()
