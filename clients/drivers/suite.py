"""Shared by the drivers in Python. The suite takes the cases from the runner, opens a client for
each, and posts the client's events to the runner until the runner says that the case is done."""

import json
import os
import sys
import threading
import time
import urllib.request

# How often the events so far are posted, in seconds.
POSTS = 0.5


def suite(play):
    """Plays every case; `play` takes the URL of a case and yields each event's type, data and id."""
    with urllib.request.urlopen(sys.argv[1]) as response:
        told = json.load(response)
    cases = iter(told["cases"])
    taking = threading.Lock()

    def lane():
        while True:
            with taking:
                case = next(cases, None)
            if case is None:
                return
            post(play, case)

    lanes = [threading.Thread(target=lane) for _ in range(told["atOnce"])]
    for each in lanes:
        each.start()
    for each in lanes:
        each.join()
    # Threads that still read a held stream would keep the process alive.
    os._exit(0)


def post(play, case):
    """Plays a case, and posts the events so far and whether the client has ended."""
    events, failure, ended, over = [], [], threading.Event(), threading.Event()

    def listen():
        stream = play(case["url"])
        try:
            for event, data, id in stream:
                if over.is_set():
                    break
                events.append({"event": event, **short(data), "id": id})
                if len(events) == case["close_after"]:
                    break
            stream.close()
        except Exception as error:  # every error ends a client
            failure.append(f"{type(error).__name__}: {error}")
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    while not over.is_set():
        time.sleep(POSTS)
        closed = ended.is_set()
        played = {"events": list(events), "closed": closed, "error": "".join(failure)}
        content = json.dumps(played).encode()
        with urllib.request.urlopen(case["report"], data=content) as response:
            if json.load(response)["done"]:
                over.set()


def short(data):
    """Returns the data, or only the length of a mebibyte of x."""
    if data is not None and len(data) > 4096 and not data.strip("x"):
        return {"data": None, "size": len(data)}
    return {"data": data}


def blocking(listening):
    """Yields what an asynchronous generator yields, in an event loop of its own."""
    import asyncio

    loop = asyncio.new_event_loop()
    try:
        while True:
            yield loop.run_until_complete(anext(listening))
    except StopAsyncIteration:
        return
    finally:
        loop.run_until_complete(listening.aclose())
