"""A use of the package for mypy --strict, which also reports an ignored line without an error."""

import sse_clock


def test_my_client(sse_clock: sse_clock.Server) -> None:
    url: str = sse_clock.url("/events?count=3&key=mine")
    number: int = sse_clock.url("/events")  # type: ignore[assignment]
    assert url and number


with sse_clock.start(port=0, tls=True, args=["--drain", "1"]) as server:
    ids: list[str] = server.stats("mine")["last_event_ids"]
    server.stats()["last_event_ids"]  # type: ignore[typeddict-item]
    server.stats("mine")["no_such_field"]  # type: ignore[typeddict-item]
    for case in server.cases():
        events: list[sse_clock.Event] = [{"event": "message", "data": case["name"]}]
        verdict = server.judge({"name": case["name"], "key": "mine", "events": events})
        why: list[str] = verdict["why"]
    server.judge({"name": "one-event"})  # type: ignore[typeddict-item]
    sse_clock.start(port="3000")  # type: ignore[arg-type]
