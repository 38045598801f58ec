"""The fixture ``sse_clock``, which pytest finds by itself where this package is installed."""

from __future__ import annotations

from typing import Iterator

import pytest

from sse_clock.server import Server, start


@pytest.fixture(name="sse_clock")
def _sse_clock() -> Iterator[Server]:
    """Start a Server-Sent Events server on a free port, and stop it after the test."""
    with start() as server:
        yield server
