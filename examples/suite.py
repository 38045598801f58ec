"""Plays the suite to a client: python suite.py SERVER [KNOWN FAILURE]..."""
import json, random, sys, threading, time, urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from ld_eventsource import SSEClient  # or any other
from ld_eventsource.config import ErrorStrategy
from ld_eventsource.errors import HTTPContentTypeError, HTTPStatusError

server, *known = sys.argv[1:]
run = f"{random.getrandbits(40):x}"
refused = HTTPContentTypeError, HTTPStatusError  # this client reconnects after any other end
strategy = ErrorStrategy.from_lambda(lambda error: (isinstance(error, refused), None))

def cases(post=None):
    with urllib.request.urlopen(f"{server}/cases", post and json.dumps(post).encode()) as response: return json.load(response)

def play(case):
    key, events, ended = f"{run}.{case['name']}", [], threading.Event()
    def listen():
        with suppress(Exception), SSEClient(f"{server}{case['url']}&key={key}", error_strategy=strategy) as client:
            for event in client.events:
                large = len(event.data) >= 5000 and not event.data.strip("x")
                data, size = (None, len(event.data)) if large else (event.data[:5000], None)
                events.append({"event": event.event, "data": data, "size": size, "id": event.last_event_id or ""})
                if len(events) == case["close_after"]: break
        ended.set()
    threading.Thread(target=listen, daemon=True).start()
    end, result = time.monotonic() + case["deadline_ms"] / 1000, {"done": False}
    while not result["done"]:
        enough = case["later_requests"] is None and len(events) == len(case["expect"])
        time.sleep(0.5)
        closed = ended.is_set() or enough or time.monotonic() > end
        result = cases({"name": case["name"], "key": key, "events": events, "closed": closed})
    return result

results = list(ThreadPoolExecutor(16).map(play, cases()["cases"]))
wrong = sorted(" ".join([result["name"], *result["why"]]) for result in results if not result["right"])
print(f"right {len(results) - len(wrong)} of {len(results)}", *wrong, sep="\n")
sys.exit([line.split()[0] for line in wrong] != sorted(known))
