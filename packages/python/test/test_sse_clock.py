"""Tests the installed package: the fixture, start(), and that no process is left behind."""

from __future__ import annotations

import http.client
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Callable

import pytest

import sse_clock as package
from sse_clock import Server, start

DEADLINE = 20


def read(url: str, context: ssl.SSLContext | None = None) -> str:
    """Return the content of a URL, to its end."""
    with urllib.request.urlopen(url, timeout=DEADLINE, context=context) as response:
        content: bytes = response.read()
        return content.decode()


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Return whether a process has ended, even if its parent has not noticed."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def test_the_fixture_is_a_server_that_counts_the_requests_of_a_key(sse_clock: Server) -> None:
    assert sse_clock.stats() == {
        "open": 0,
        "opened": 0,
        "events": 0,
        "closed": {"client": 0, "finished": 0, "shutdown": 0},
    }
    events = read(sse_clock.url("/events?ids&interval=10&count=3&key=mine"))
    assert events.count("data: ") == 3
    eventually(lambda: sse_clock.stats("mine")["closed"]["finished"] == 1)
    assert sse_clock.stats("mine")["requests"] == [{"last_event_id": None, "after_ms": None}]


def test_each_test_gets_a_new_server(sse_clock: Server) -> None:
    assert sse_clock.stats("mine")["requests"] == []


def test_the_types_have_the_fields_that_the_server_sends(sse_clock: Server) -> None:
    stats = sse_clock.stats("mine")
    assert set(stats) == set(package.KeyStats.__annotations__)
    assert set(stats["closed"]) == set(package.Closed.__annotations__)
    read(sse_clock.url("/events?interval=10&count=1&key=mine"))
    assert set(sse_clock.stats("mine")["requests"][0]) == set(package.Request.__annotations__)
    cases = sse_clock.cases()
    assert len(cases) > 200
    for case in cases:
        assert set(case) == set(package.Case.__annotations__)
        for later in case["later_requests"] or []:
            assert set(later) == set(package.LaterRequest.__annotations__)


def test_the_server_judges_a_client(sse_clock: Server) -> None:
    case = next(case for case in sse_clock.cases() if case["name"] == "one-event")
    read(sse_clock.url(case["url"] + "&key=mine"))
    events: list[package.Event] = [{"event": "message", "data": "hello", "id": ""}]
    result: package.Result = {"name": "one-event", "key": "mine", "events": events, "closed": True}
    verdict = sse_clock.judge(result)
    assert set(verdict) == set(package.Verdict.__annotations__)
    assert (verdict["done"], verdict["right"], verdict["events"]) == (True, False, True)
    assert verdict["reconnects"] is False, "the client has not reconnected"


def test_a_request_that_the_server_rejects_is_a_value_error(sse_clock: Server) -> None:
    with pytest.raises(ValueError, match="400"):
        sse_clock.stats("not a key")


def test_stop_ends_an_open_stream_cleanly_and_the_process() -> None:
    with start() as server:
        connection = http.client.HTTPConnection(server.origin.partition("//")[2], timeout=DEADLINE)
        connection.request("GET", "/events?interval=10")
        response = connection.getresponse()
        while not response.readline().startswith(b"data: "):
            pass
    # A stream without its terminating chunk is an IncompleteRead.
    assert response.read().endswith(b"\n")
    assert is_gone(server.pid)
    server.stop()


def test_a_forked_child_does_not_hold_up_stop() -> None:
    server = start()
    child = os.fork()
    if child == 0:
        time.sleep(DEADLINE)
        os._exit(0)
    try:
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_tls_makes_a_certificate_for_clients_to_trust() -> None:
    with start(tls=True) as server:
        assert server.origin.startswith("https://localhost:")
        assert server.certificate
        trusting = ssl.create_default_context(cadata=server.certificate)
        url = server.url("/events?interval=10&count=2&key=mine")
        assert read(url, trusting).count("data: ") == 2
        assert len(server.stats("mine")["requests"]) == 1
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            read(url)


def test_a_port_in_use_is_the_error_of_the_program(sse_clock: Server) -> None:
    port = int(sse_clock.origin.rpartition(":")[2])
    with pytest.raises(RuntimeError, match=f"^port {port} is in use"):
        start(port=port)
    sse_clock.stop()
    with start(port=port) as again:
        assert again.origin == sse_clock.origin


def test_arguments_reach_the_program() -> None:
    with start(args=["--host", "127.0.0.2"]) as server:
        assert server.origin.startswith("http://127.0.0.2:")
        assert server.stats()["open"] == 0
    with pytest.raises(RuntimeError, match="--no-such-flag"):
        start(args=["--no-such-flag"])
    with pytest.raises(RuntimeError, match="did not start a server: sse-clock "):
        start(args=["--version"])


def test_the_log_of_the_server_is_a_logger(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start() as server:
        read(server.url("/events?interval=10&count=1&key=mine"))
    assert not caplog.records
    monkeypatch.setenv("RUST_LOG", "info")
    with start() as server:
        read(server.url("/events?interval=10&count=1&key=mine"))
    assert {record.name for record in caplog.records} == {"sse_clock"}
    assert "stopping" in caplog.text


@pytest.mark.parametrize("end", ["raise SystemExit", "1 / 0", "os.kill(os.getpid(), 9)"])
def test_the_server_ends_when_its_parent_ends(end: str) -> None:
    script = f"import os, sse_clock; print((server := sse_clock.start()).pid, flush=True); {end}"
    parent = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE
    )
    pid = int(parent.stdout)
    eventually(lambda: is_gone(pid))


def test_the_module_is_the_program_and_passes_its_exit_status_on() -> None:
    module = [sys.executable, "-m", "sse_clock"]
    script = str(Path(sys.executable).with_name("sse-clock"))
    for arguments, status in [(["--help"], 0), (["--version"], 0), (["--no-such-flag"], 2)]:
        one, other = (
            subprocess.run([*command, *arguments], capture_output=True, timeout=DEADLINE)
            for command in (module, [script])
        )
        assert (one.returncode, one.stdout, one.stderr) == (status, other.stdout, other.stderr)
    with subprocess.Popen([*module, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("Server listening on ")
        process.terminate()
        assert process.wait(DEADLINE) == 0


def test_a_variable_names_another_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    monkeypatch.setenv("SSE_CLOCK_BINARY", str(other))
    with pytest.raises(FileNotFoundError, match="SSE_CLOCK_BINARY is .*other"):
        start()
    other.write_text("#!/bin/sh\necho this is the other >&2\nexit 1\n")
    other.chmod(0o755)
    with pytest.raises(RuntimeError, match="this is the other"):
        start()
