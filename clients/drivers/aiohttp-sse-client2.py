"""PyPI's aiohttp-sse-client2."""

from aiohttp_sse_client2.client import EventSource

from suite import blocking, suite


async def listen(url):
    async with EventSource(url) as source:
        async for event in source:
            # The client gives no type if the stream sent none.
            yield event.type or "message", event.data, event.last_event_id


suite(lambda url: blocking(listen(url)))
