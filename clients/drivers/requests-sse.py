"""PyPI's requests-sse."""

from requests_sse import EventSource

from suite import suite


def play(url):
    with EventSource(url) as source:
        for event in source:
            yield event.type, event.data, event.last_event_id


suite(play)
