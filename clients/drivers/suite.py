"""Shared by the drivers in Python. The suite takes the cases from the runner, opens a client for
each, and reports the client's events. A case lasts until its stream is over or the runner ends it."""

import json
import os
import sys
import threading
import urllib.request


def suite(play):
    """Plays every case; `play` takes the URL of a case and yields each event's type, data and id."""
    with urllib.request.urlopen(sys.argv[1]) as answer:
        told = json.load(answer)
    cases = iter(told["cases"])
    taking = threading.Lock()

    def lane():
        while True:
            with taking:
                case = next(cases, None)
            if case is None:
                return
            line = json.dumps({"name": case["name"], **heard(play, case)})
            with taking:
                print(line, flush=True)

    lanes = [threading.Thread(target=lane) for _ in range(told["atOnce"])]
    for each in lanes:
        each.start()
    for each in lanes:
        each.join()
    # Threads that still read a held stream would keep the process alive.
    os._exit(0)


def heard(play, case):
    """Returns the events and the error of a client in one case."""
    events, failure, over = [], [], threading.Event()

    def listen():
        try:
            for event, data, id in play(case["url"]):
                if over.is_set():
                    return
                events.append({"event": event, **short(data), "id": id})
        except Exception as error:  # the runner judges every error that ends a client
            failure.append(f"{type(error).__name__}: {error}")
        over.set()

    def wait():
        with urllib.request.urlopen(case["until"]) as answer:
            answer.read()
        over.set()

    for each in (listen, wait):
        threading.Thread(target=each, daemon=True).start()
    over.wait()
    return {"events": list(events), "error": failure[0] if failure else None}


def short(data):
    """Returns the data, or only the length of a mebibyte of x."""
    if data is not None and len(data) > 4096 and not data.strip("x"):
        return {"data": None, "size": len(data)}
    return {"data": data}


def blocking(listening):
    """Yields what an asynchronous generator yields, in an event loop of its own."""
    import asyncio

    loop = asyncio.new_event_loop()
    while True:
        try:
            yield loop.run_until_complete(anext(listening))
        except StopAsyncIteration:
            return
