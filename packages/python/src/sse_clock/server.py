"""The server as a child process."""

from __future__ import annotations

import json
import logging
import os
import ssl
import subprocess
from http.client import HTTPConnection, HTTPSConnection
from threading import Thread
from types import TracebackType
from typing import IO, Any, Sequence, overload
from urllib.parse import quote, urlsplit

from sse_clock.binary import find_binary
from sse_clock.schema import Case, KeyStats, Result, Stats, Verdict

_log = logging.getLogger("sse_clock")

_LISTENING = "Server listening on "

#: How many seconds a server may take to stop: twice what ``--drain`` is by default.
_STOP_TIMEOUT = 10


def start(*, port: int = 0, tls: bool = False, args: Sequence[str] = ()) -> Server:
    """Start a server, and return it when it listens.

    The server stops at the end of a ``with`` block, at ``stop()``, or when this process ends,
    however it ends.

    :param port: the TCP port; 0 takes a free one
    :param tls: speak HTTPS, with a new certificate, which is ``Server.certificate``
    :param args: more arguments for the program, as in ``sse-clock --help``
    :raises FileNotFoundError: if the program is not installed
    :raises RuntimeError: if the server does not start, with the program's own error
    """
    command = [find_binary(), "--until-stdin-closes", "--port", str(port)]
    if tls:
        command.append("--tls")
    process = subprocess.Popen(
        [*command, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env={"RUST_LOG": "warn", **os.environ},
        # Ctrl-C in a terminal reaches this process, which may still ask for the statistics.
        start_new_session=os.name == "posix",
    )
    assert process.stdout
    line = process.stdout.readline()
    if not line.startswith(_LISTENING):
        _, errors = process.communicate()
        error = errors.strip().removeprefix("error: ")
        raise RuntimeError(error or f"{command[0]} did not start a server: {line}")
    return Server(process, line[len(_LISTENING) :].strip())


class Server:
    """A running server."""

    #: The scheme, host and port, such as ``http://localhost:40123``.
    origin: str

    #: The certificate in PEM, if the server speaks HTTPS. A client that trusts it:
    #: ``ssl.create_default_context(cadata=server.certificate)``.
    certificate: str | None

    def __init__(self, process: subprocess.Popen[str], origin: str) -> None:
        """Take over a process that listens on ``origin``."""
        assert process.stdin and process.stdout and process.stderr
        self.origin = origin
        self.certificate = None
        self._address = urlsplit(origin)
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._reader = Thread(target=_read_log, args=[process.stderr], daemon=True)
        self._reader.start()
        if self._address.scheme == "https":
            host, port = self._address.hostname, self._address.port
            assert host and port
            self.certificate = ssl.get_server_certificate((host, port))

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    def url(self, path: str) -> str:
        """Return the URL of ``path``, which begins with a slash."""
        return self.origin + path

    @overload
    def stats(self, key: None = None) -> Stats: ...

    @overload
    def stats(self, key: str) -> KeyStats: ...

    def stats(self, key: str | None = None) -> Stats:
        """Return the counts of all streams, or of those that were opened with ``key``."""
        query = "" if key is None else "?key=" + quote(key, safe="")
        stats: Stats = self._request("GET", "/stats" + query)
        return stats

    def cases(self) -> list[Case]:
        """Return the cases of the suite."""
        cases: list[Case] = self._request("GET", "/cases")["cases"]
        return cases

    def judge(self, result: Result) -> Verdict:
        """Return what is right about a client's result."""
        verdict: Verdict = self._request("POST", "/cases", json.dumps(result))
        return verdict

    def stop(self) -> None:
        """End every stream cleanly, and wait until the process has ended, for 10 seconds at most."""
        if os.name == "posix":
            # A forked child of this process may hold stdin open.
            self._process.terminate()
        else:
            self._stdin.close()
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._stdin.close()
        self._stdout.close()

    def __enter__(self) -> Server:
        """Return the server, which stops at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    def _request(self, method: str, path: str, content: str | None = None) -> Any:
        """Return the JSON of a response, or raise ``ValueError`` with the server's line."""
        # Without urllib.request, which would use a proxy from the environment.
        connection = HTTPConnection(self._address.netloc, timeout=30)
        if self.certificate is not None:
            context = ssl.create_default_context(cadata=self.certificate)
            connection = HTTPSConnection(self._address.netloc, timeout=30, context=context)
        try:
            connection.request(method, path, content and content.encode())
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(f"{method} {path}: {response.status} {text.strip()}")
        return json.loads(text)


def _read_log(lines: IO[str]) -> None:
    with lines:
        for line in lines:
            _log.warning(line.rstrip())
