"""Runs the program: ``python -m sse_clock --help``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from sse_clock.binary import find_binary


def main() -> int:
    """Run the program with the arguments of this process, and return its exit status."""
    try:
        command = [find_binary(), *sys.argv[1:]]
        if os.name == "posix":
            os.execv(command[0], command)
        # The console sends Ctrl-C to the program too, which then ends by itself.
        signal.signal(signal.SIGINT, lambda *_: None)
        return subprocess.run(command).returncode
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
