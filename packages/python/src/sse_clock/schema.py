"""The JSON that the server sends and gets, as types.

docs/options.md describes the fields of ``/stats``, and docs/suite.md those of ``/cases``.
"""

from __future__ import annotations

from typing import TypedDict


class Closed(TypedDict):
    """How many streams have ended, by reason."""

    client: int
    finished: int
    shutdown: int


class Stats(TypedDict):
    """The counts of all streams."""

    open: int
    opened: int
    events: int
    closed: Closed


class Request(TypedDict):
    """A request of a key."""

    last_event_id: str | None
    after_ms: int | None


class KeyStats(Stats):
    """The counts of the streams of a key, and its requests."""

    last_event_ids: list[str]
    requests: list[Request]
    redirects: int
    dropped: int


class _ExpectedEvent(TypedDict):
    event: str
    data: str | None
    id: str


class ExpectedEvent(_ExpectedEvent, total=False):
    """An event that the client dispatches; a large one has a size, and null as its data."""

    size: int


class LaterRequest(TypedDict):
    """A request that the client sends after its first."""

    last_event_id: str
    after_ms: int | None
    events: int


class Case(TypedDict):
    """A case of the suite."""

    name: str
    section: str
    why: str
    url: str
    listen: list[str]
    expect: list[ExpectedEvent]
    later_requests: list[LaterRequest] | None
    redirects: int | None
    close_after: int | None
    deadline_ms: int


class _Event(TypedDict):
    event: str
    data: str | None


class Event(_Event, total=False):
    """An event that the client has dispatched."""

    id: str
    size: int | None


class _Result(TypedDict):
    name: str
    key: str
    events: list[Event]


class Result(_Result, total=False):
    """What the client has made of a case so far."""

    closed: bool
    reconnects: bool


class Verdict(TypedDict):
    """What the server says of a result."""

    name: str
    done: bool
    right: bool | None
    events: bool | None
    ids: bool | None
    reconnects: bool | None
    why: list[str]
