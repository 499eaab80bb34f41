"""Owns what lies on disk: one folder for each take, in a folder that the server itself has made and named.

No name that came from outside is ever a path here. The folder goes away with the server.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO, Final

_PREFIX: Final = "avatar-gateway-"
_LOCK: Final = ".lock"
"""A file that its server keeps locked as long as it lives."""


class Store:
    """All takes of one server.

    Args:
        parent: where the store's own folder is made; ``None`` for the system's temporary one.

    Raises:
        OSError: if nothing can be made there.
    """

    def __init__(self, parent: Path | None) -> None:
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        _clear(parent or Path(tempfile.gettempdir()))
        self._root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        # Locked before it has its name, so that nobody who clears up finds it unlocked.
        young = self._root / ".young"
        self._lock = os.open(young, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        young.rename(self._root / _LOCK)

    def new_folder(self) -> Folder:
        """Return the empty folder of a new take."""
        path = self._root / secrets.token_hex(8)
        path.mkdir()
        return Folder(path)

    def close(self) -> None:
        """Delete everything."""
        shutil.rmtree(self._root, ignore_errors=True)
        os.close(self._lock)


def _clear(parent: Path) -> None:
    """Delete what servers left that were killed: nobody holds their lock any more, and portraits lie there."""
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):  # another user's, or another server was quicker
            held = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(held)


class Folder:
    """The files of one take.

    Attributes:
        size: bytes written and not deleted.
        is_there: whether it was not deleted yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = 0
        self.is_there = True

    def path(self, name: str) -> Path:
        """Return where the file ``name`` lies; the name is the program's own."""
        return self._path / name

    def write(self, name: str, content: bytes) -> None:
        """Write a file that appears whole or not at all.

        Raises:
            OSError: if the disk is full, or the folder was deleted.
        """
        part = self._path / f".{name}.part"
        part.write_bytes(content)
        part.replace(self._path / name)
        self.size += len(content)

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            FileNotFoundError: if there is no such file.
        """
        return (self._path / name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        """Return a new file, open for writing and reading."""
        return (self._path / name).open("w+b", buffering=0)

    def delete(self) -> None:
        """Delete the folder and all in it."""
        shutil.rmtree(self._path, ignore_errors=True)
        self.size = 0
        self.is_there = False
