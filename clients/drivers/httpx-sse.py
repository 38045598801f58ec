"""PyPI's httpx-sse."""

import httpx
from httpx_sse import connect_sse

from suite import suite


def play(url):
    with httpx.Client(follow_redirects=True, timeout=None) as client:
        with connect_sse(client, "GET", url) as source:
            for sse in source.iter_sse():
                yield sse.event, sse.data, sse.id


suite(play)
