"""A Server-Sent Events server that misbehaves on request, to test SSE clients with.

>>> import sse_clock
>>> with sse_clock.start() as server:
...     server.stats("mine")["open"]
0

In pytest, the fixture ``sse_clock`` is a running server.
"""

from __future__ import annotations

from sse_clock.schema import (
    Case,
    Closed,
    Event,
    ExpectedEvent,
    KeyStats,
    LaterRequest,
    Request,
    Result,
    Stats,
    Verdict,
)
from sse_clock.server import Server, start

__all__ = [
    "Case",
    "Closed",
    "Event",
    "ExpectedEvent",
    "KeyStats",
    "LaterRequest",
    "Request",
    "Result",
    "Server",
    "Stats",
    "Verdict",
    "start",
]
