"""PyPI's launchdarkly-eventsource, set to reconnect after the end of a stream, where by default it stops."""
from ld_eventsource import SSEClient
from ld_eventsource.config import ErrorStrategy
from ld_eventsource.errors import HTTPContentTypeError, HTTPStatusError
from suite import suite


def after(error):
    # Only a response that is no stream stops the client.
    stops = isinstance(error, (HTTPContentTypeError, HTTPStatusError))
    return ErrorStrategy.FAIL if stops else ErrorStrategy.CONTINUE, None


def play(url):
    client = SSEClient(url, error_strategy=ErrorStrategy.from_lambda(after))
    for event in client.events:
        yield event.event, event.data, event.last_event_id or ""


suite(play)
