"""Owns what lies on disk: one folder for each take, in a folder that the server itself has made and named.

No name that came from outside is ever a path here. The folder goes away with the server.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO, Final

_PREFIX: Final = "avatar-gateway-"


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
        self._root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))

    def new_folder(self) -> Folder:
        """Return the empty folder of a new take."""
        path = self._root / secrets.token_hex(8)
        path.mkdir()
        return Folder(path)

    def close(self) -> None:
        """Delete everything."""
        shutil.rmtree(self._root, ignore_errors=True)


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
