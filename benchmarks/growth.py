"""Owns the measuring of memory: by how much this process grows."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


@contextmanager
def peak_growth() -> Iterator[dict[str, float]]:
    """Yield what will hold, as ``mb``, by how much this process grew at most while the context lasted."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    process, done, found = psutil.Process(), threading.Event(), {"mb": 0.0}
    before = process.memory_info().rss

    def watch() -> None:
        while not done.wait(0.002):
            found["mb"] = max(found["mb"], (process.memory_info().rss - before) / 1e6)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
