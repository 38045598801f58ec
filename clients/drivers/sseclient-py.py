"""PyPI's sseclient-py, over requests."""

import requests
from sseclient import SSEClient

from suite import suite


def play(url):
    answer = requests.get(url, stream=True, headers={"Accept": "text/event-stream"})
    for event in SSEClient(answer).events():
        yield event.event, event.data, event.id or ""


suite(play)
