"""PyPI's launchdarkly-eventsource, told to go on after the end of a stream, which by default ends it."""

from ld_eventsource import SSEClient
from ld_eventsource.config import ErrorStrategy
from ld_eventsource.errors import HTTPContentTypeError, HTTPStatusError

from suite import suite


def after(error):
    """What it is told to do next: only an answer that is no stream ends it."""
    refused = isinstance(error, (HTTPContentTypeError, HTTPStatusError))
    return ErrorStrategy.FAIL if refused else ErrorStrategy.CONTINUE, None


def play(url):
    client = SSEClient(url, error_strategy=ErrorStrategy.from_lambda(after))
    for event in client.events:
        yield event.event, event.data, event.last_event_id or ""


suite(play)
