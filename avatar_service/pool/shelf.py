"""Owns the avatars that a worker keeps by name, whichever slots show them. Pure."""

from __future__ import annotations

from concurrent.futures import Future

from avatar_service.engine.base import Avatar
from avatar_service.pool.failure import told
from avatar_service.pool.messages import AvatarKey, Failed, Kept


class Shelf:
    """The avatars of one worker.

    Args:
        engine: the engine's name, for the log.
    """

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._avatars: dict[AvatarKey, Avatar | None] = {}

    def __repr__(self) -> str:
        return f"<Shelf with {len(self._avatars)} avatars>"

    def find(self, key: AvatarKey | None) -> Avatar | None:
        """Return the avatar of this name, once it is there."""
        return None if key is None else self._avatars.get(key)

    def reserve(self, key: AvatarKey) -> None:
        """Note that an avatar is being prepared to be kept."""
        self._avatars.setdefault(key, None)

    def put(self, key: AvatarKey, future: Future[Avatar]) -> Kept | Failed:
        """Keep what was prepared, unless it was dropped meanwhile; return what is to be said of it."""
        error = future.exception()
        if error is not None:
            self.drop(key)
            return Failed(key, told(error, self._engine, "avatar"))
        avatar = future.result()
        if key in self._avatars:
            self._avatars[key] = avatar
        return Kept(key, avatar.frame_size, avatar.notices, avatar.nbytes)

    def drop(self, key: AvatarKey) -> None:
        """Keep this one no longer, if it is kept at all."""
        self._avatars.pop(key, None)
