"""PyPI's openai: its own request, which is tried again at some failures, and its own parser."""

from openai import OpenAI, Stream

from suite import suite

client = OpenAI(api_key="none")


def play(url):
    with client.get(url, cast_to=object, stream=True, stream_cls=Stream[object]) as stream:
        for sse in stream._iter_events():
            yield sse.event or "message", sse.data, sse.id or ""


suite(play)
