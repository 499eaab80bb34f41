"""Owns the process carrier: a worker in a process of its own, because one interpreter lock would eat a second core.

Both ends of a socket pair speak pickled messages behind their length; nothing else ever writes to it. The parent's
end lies on the event loop, so neither a busy nor a stopped worker can block it.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import queue
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO, Final

from avatar_service.engine.registry import create_engine
from avatar_service.errors import SetupError, UnavailableError
from avatar_service.pool.carrier import END_WITHIN_S
from avatar_service.pool.coretime import CoreTime
from avatar_service.pool.loop import Answer, Inbox, Stop, run_worker
from avatar_service.pool.messages import Command, Ping, Unfit, Warm

_LENGTH: Final = struct.Struct("!I")
_WARM_WITHIN_S: Final = 300.0
"""A network of a gigabyte is read, and may have to be compiled for this GPU for the first time."""
_NICENESS: Final = 5
"""Of a worker: the front relays for all workers, so it goes first where there are not enough cores for everybody."""


class ProcessCarrier:
    """Carries a worker in a process.

    Args:
        engine: name of the engine in the registry.
        options: of that engine.
        head_room: share of the measured speed that is kept free; ``None`` measures nothing.
    """

    def __init__(self, engine: str, options: Mapping[str, str], head_room: float | None = None) -> None:
        self._arguments = (engine, json.dumps(dict(options)), json.dumps(head_room))
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._core_time: CoreTime | None = None

    @property
    def pid(self) -> int:
        """Of the worker's process, once started."""
        assert self._process is not None, "the worker has not started"
        return self._process.pid

    async def start(self, deliver: Callable[[list[Answer]], None]) -> Warm:
        """Start the process; return once its engine is warm.

        Raises:
            UnavailableError: ``WORKER_LOST`` if it ends, or takes too long.
            SetupError: if it says what the operator must put right.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            reader, self._writer = await asyncio.open_connection(sock=ours)
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "avatar_service.pool.process", str(theirs.fileno()), *self._arguments),
                pass_fds=[theirs.fileno()],
                env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **os.environ},
            )
        try:
            async with asyncio.timeout(_WARM_WITHIN_S):
                [first] = await _receive(reader)
        except (TimeoutError, EOFError, OSError):
            await self.stop()
            raise UnavailableError("WORKER_LOST", "an engine process ended before it was warm; see its log") from None
        if isinstance(first, Unfit):
            await self.stop()
            raise SetupError(first.message)
        assert isinstance(first, Warm), "a worker's first word"
        self._reading = asyncio.create_task(_read(reader, deliver))
        return first

    def send(self, command: Command | Ping) -> None:
        """Write the command; a worker that is gone takes nothing any more."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(_packed(command))

    def share(self) -> float:
        """Return how much of the time since the last call the worker had, from 0 to 1."""
        if self._core_time is None:
            self._core_time = CoreTime(self.pid)
        return self._core_time.share()

    async def ended(self) -> None:
        """Return once the worker is gone."""
        if self._reading is not None:
            await asyncio.wait({self._reading})

    async def stop(self, patience_s: float = END_WITHIN_S) -> None:
        """End the process: politely, then not."""
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            await _end(self._process, patience_s)
        await self.ended()
        if self._writer is not None:
            with suppress(OSError):
                await self._writer.wait_closed()


async def _end(process: asyncio.subprocess.Process, patience_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            await process.wait()
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _read(reader: asyncio.StreamReader, deliver: Callable[[list[Answer]], None]) -> None:
    """Deliver batches until the worker's end closes."""
    with suppress(EOFError, OSError):
        while True:
            deliver(await _receive(reader))


async def _receive(reader: asyncio.StreamReader) -> list[Answer]:
    [length] = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    answers: list[Answer] = pickle.loads(await reader.readexactly(length))  # noqa: S301 - our own child wrote it
    return answers


def _packed(message: Any) -> bytes:
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(content)) + content


# In the worker's process -----------------------------------------------------------------------------------------


def main(descriptor: str, engine: str, options: str, head_room: str) -> None:
    """Run a worker that speaks over the socket ``descriptor``, until the other end closes.

    Args:
        descriptor: number of an inherited file descriptor.
        engine: name of the engine.
        options: of the engine, as JSON.
        head_room: share of the measured speed that is kept free, as JSON.
    """
    # A signal from the terminal reaches the whole group; the parent drains, and closing the socket ends us.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    inbox: Inbox = queue.SimpleQueue()
    with socket.socket(fileno=int(descriptor)) as link:
        threading.Thread(target=_listen, args=(link, inbox), daemon=True).start()
        create = partial(create_engine, engine, json.loads(options))
        try:
            run_worker(create, inbox, partial(_post, link), json.loads(head_room))
        except SetupError as error:
            _post(link, [Unfit(str(error))])


def _listen(link: socket.socket, inbox: Inbox) -> None:
    """Take commands until the parent closes its end, or dies, perhaps within a message; then end this process."""
    with suppress(EOFError, OSError), link.makefile("rb") as stream:
        while True:
            [length] = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
            command: Command | Ping = pickle.loads(_exactly(stream, length))  # noqa: S301 - our parent wrote it
            inbox.put(command)
    inbox.put(Stop())
    time.sleep(END_WITHIN_S)  # this thread ends with the process; if it does not, an engine hangs
    os._exit(1)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _post(link: socket.socket, answers: list[Answer]) -> None:
    with suppress(OSError):  # the parent is gone: the listener says so
        link.sendall(_packed(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
