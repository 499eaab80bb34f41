"""Owns the translation of what is asked and said about avatars that are kept. Keeps no state."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

from avatar.v1 import avatar_pb2, event_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from avatar_service.config import Settings
from avatar_service.errors import InvalidArgumentError
from avatar_service.picture import check_size
from avatar_service.pool.avatars import KeptAvatar
from avatar_service.pool.pool import Pool
from avatar_service.rpc.incoming import prepare_options
from avatar_service.session.opening import check_engine

MAX_NAME_CHARACTERS: Final = 128
_DIRECTIONS: Final = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Classes of characters that would turn the text behind them around, too (UAX 9)."""


async def create(
    request: avatar_pb2.CreateAvatarRequest, pool: Pool, settings: Settings
) -> avatar_pb2.CreateAvatarResponse:
    """Have an avatar kept, and return what was made.

    Raises:
        AvatarError: if the request cannot be met, as ``init`` would say it.
    """
    try:
        check_size(request.portrait)
        check_engine(request.engine, pool.spec)
        _check_name(request.display_name)
        kept = await pool.create_avatar(
            request.portrait,
            prepare_options(request),
            display_name=request.display_name,
            within_s=settings.prepare_timeout_s,
        )
    except InvalidArgumentError as error:
        raise InvalidArgumentError(error.reason, error.message, field=error.field.removeprefix("init.")) from None
    return avatar_pb2.CreateAvatarResponse(avatar=_avatar(kept, pool.spec.name))


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME_CHARACTERS:
        msg = f"display_name has {len(name)} characters; use at most {MAX_NAME_CHARACTERS}"
        raise InvalidArgumentError("OUT_OF_RANGE", msg, field="display_name")
    if any(map(_is_control, name)):
        msg = "display_name has characters that are not seen but change a line or its direction; leave them out"
        raise InvalidArgumentError("OUT_OF_RANGE", msg, field="display_name")


def _is_control(character: str) -> bool:
    is_line = unicodedata.category(character) in {"Cc", "Zl", "Zp"}
    return is_line or unicodedata.bidirectional(character) in _DIRECTIONS


def listed(avatars: Iterable[KeptAvatar], engine: str) -> avatar_pb2.ListAvatarsResponse:
    """Return the avatars, in their order."""
    return avatar_pb2.ListAvatarsResponse(avatars=[_avatar(kept, engine) for kept in avatars])


def _avatar(kept: KeptAvatar, engine: str) -> avatar_pb2.Avatar:
    created = Timestamp()
    created.FromDatetime(kept.created)
    width, height = kept.frame_size
    return avatar_pb2.Avatar(
        avatar_id=kept.id,
        display_name=kept.display_name,
        engine=engine,
        width=width,
        height=height,
        warnings=[event_pb2.Warning(reason=notice.reason, message=notice.message) for notice in kept.notices],
        memory_bytes=kept.nbytes,
        create_time=created,
    )
