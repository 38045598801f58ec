"""Where the program is."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Iterator

VARIABLE = "SSE_CLOCK_BINARY"


def find_binary() -> str:
    """Return the path of the program: that of ``SSE_CLOCK_BINARY``, or the installed one."""
    override = os.environ.get(VARIABLE)
    if override and not Path(override).is_file():
        raise FileNotFoundError(f"{VARIABLE} is {override}, which is no file")
    if override:
        return override
    for path in _candidates("sse-clock" + (sysconfig.get_config_var("EXE") or "")):
        if path.is_file():
            return str(path)
    raise FileNotFoundError(
        f"the program sse-clock is not installed with this package (on {sys.platform}, "
        f"{platform.machine()}): install the package again, or set {VARIABLE} to a program "
        "that cargo built"
    )


def _candidates(name: str) -> Iterator[Path]:
    # The list of installed files is right for every scheme: virtual environment, user, prefix, and a
    # package that a virtual environment has from the system.
    try:
        package = distribution("sse-clock")
    except PackageNotFoundError:
        return
    for file in package.files or []:
        if file.name == name:
            yield Path(str(package.locate_file(file)))
    # `pip install --target` moves the files and leaves the list as it was.
    yield Path(str(package.locate_file("bin"))) / name
