"""Owns the form fields with which a session is ordered, and the checks that belong to them."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Final

from fastapi import Form, UploadFile

from avatar_service.errors import InvalidArgumentError, ResourceExhaustedError
from avatar_service.gateway.order import Order, Preset

MAX_PORTRAIT_BYTES: Final = 10 * 1024 * 1024
MAX_FORM_BYTES: Final = 64 * 1024
"""What a form may have beside its files."""
MAX_ENGINE_CHARACTERS: Final = 64
_LIVE: Final = "live"
_MODES: Final = ("on_audio", _LIVE)
_DEGRADABLE: Final = "maintain_resolution"
_PREFERENCES: Final = ("disabled", _DEGRADABLE)
_ELSEWHERE: Final = {
    "abr": "abr is for HLS, where players choose between two pictures: leave it out here",
    "mode": "a stream that goes on is no film of one file: leave out mode here, or open a session with init",
    "vp8": "vp8 is for WebRTC, after /api/live: leave it out here, where video is H.264",
}
"""Fields that only some endpoints can heed."""


def order_form(  # noqa: PLR0913 - one argument per form field is FastAPI's way
    *,
    crop: Annotated[bool | None, Form(description="Find the face and crop to it (true); not with avatar_id")] = None,
    seed: Annotated[int, Form(ge=0, lt=2**64)] = 42,
    nfe: Annotated[int, Form(ge=5, le=50, description="Of a flow-matching engine")] = 10,
    cfg_scale: Annotated[float, Form(ge=1, le=5, allow_inf_nan=False, description="Likewise")] = 2.0,
    chunk_duration: Annotated[float, Form(ge=0.1, le=10, allow_inf_nan=False)] = 1.0,
    audio_sample_rate: Annotated[
        int, Form(ge=8000, le=48000, description="Of raw samples whose type names no rate")
    ] = 24_000,
    pose_style: Annotated[str | None, Form(description="JSON: [pitch, yaw, roll] in radians")] = None,
    gaze_style: Annotated[str | None, Form(description="JSON: [x, y] in radians")] = None,
    engine: Annotated[str, Form(max_length=MAX_ENGINE_CHARACTERS, description="Empty: the service's default")] = "",
    preset: Annotated[str, Form(description="lowest_latency, balanced or best_quality")] = "balanced",
    abr: Annotated[bool, Form(description="Two formats, 512 and 256 wide, between which players choose")] = False,
    mode: Annotated[str, Form(description="on_audio, or live: the stream goes on while nobody speaks")] = "on_audio",
    vp8: Annotated[bool, Form(description="Live: VP8 beside H.264, for peers that have no H.264")] = False,
    avatar_id: Annotated[str, Form(max_length=64, description="Of /api/avatars, in place of an image and crop")] = "",
) -> Order:
    """Return what the form orders.

    Raises:
        InvalidArgumentError: if a field's value cannot be.
    """
    if avatar_id and crop is not None:
        msg = "crop was settled when the avatar was created; leave it out with avatar_id"
        raise InvalidArgumentError("AVATAR_IS_PREPARED", msg, field="crop")
    return Order(
        crop=crop is not False,
        seed=seed,
        nfe=nfe,
        cfg_scale=cfg_scale,
        chunk_duration=chunk_duration,
        audio_sample_rate=audio_sample_rate,
        pose_style=_angles("pose_style", pose_style, 3),
        gaze_style=_angles("gaze_style", gaze_style, 2),
        engine=engine,
        preset=_preset(preset),
        is_adaptive=abr,
        is_live=_is_live(mode),
        has_vp8=vp8,
        avatar_id=avatar_id,
    )


def degradable_form(
    degradation_preference: Annotated[
        str, Form(description="disabled; maintain_resolution: admitted sooner, and at half the frame rate if need be")
    ] = "disabled",
) -> bool:
    """Return whether the frame rate may fall to half so that more are admitted.

    Raises:
        InvalidArgumentError: if it says anything else.
    """
    if degradation_preference.lower() not in _PREFERENCES:
        msg = f"there is no such preference; there are {', '.join(_PREFERENCES)}"
        raise InvalidArgumentError("UNKNOWN_VALUE", msg, field="degradation_preference")
    return degradation_preference.lower() == _DEGRADABLE


def refuse(**asked: bool) -> None:
    """Refuse what a form asks for, by field, where its endpoint cannot give that.

    Raises:
        InvalidArgumentError: ``INVALID_FIELD``.
    """
    for field, is_asked in asked.items():
        if is_asked:
            raise InvalidArgumentError("INVALID_FIELD", _ELSEWHERE[field], field=field)


async def portrait_of(image: UploadFile | None, order: Order) -> bytes:
    """Return the portrait that a form carries; empty if it names an avatar.

    Raises:
        AvatarError: if there is none, or both, or it is too large.
    """
    if order.avatar_id and image is not None:
        raise InvalidArgumentError("PORTRAIT_OR_AVATAR", "send an image or an avatar_id, not both", field="avatar_id")
    return b"" if order.avatar_id else await read_portrait(image, ", or name an avatar as `avatar_id`")


async def read_portrait(image: UploadFile | None, otherwise: str = "") -> bytes:
    """Return the portrait that was uploaded.

    Args:
        image: the form's file.
        otherwise: what the form may have in its place, in words.

    Raises:
        AvatarError: if there is none, or it is too large.
    """
    content = await image.read(MAX_PORTRAIT_BYTES + 1) if image else b""
    if not content:
        raise InvalidArgumentError("PORTRAIT_MISSING", f"send a picture as `image`{otherwise}", field="image")
    if len(content) > MAX_PORTRAIT_BYTES:
        raise ResourceExhaustedError("PORTRAIT_TOO_LARGE", "the portrait has more than 10 MiB")
    return content


def _preset(name: str) -> Preset:
    try:
        return Preset[name.upper()]
    except KeyError:
        names = ", ".join(each.name.lower() for each in Preset)
        msg = f"there is no such preset; there are {names}"
        raise InvalidArgumentError("UNKNOWN_VALUE", msg, field="preset") from None


def _is_live(mode: str) -> bool:
    if mode.lower() not in _MODES:
        raise InvalidArgumentError(
            "UNKNOWN_VALUE", f"there is no such mode; there are {', '.join(_MODES)}", field="mode"
        )
    return mode.lower() == _LIVE


def _angles(field: str, text: str | None, count: int) -> tuple[float, ...]:
    """Return the angles of a JSON array; nothing for an empty field or ``null``."""
    try:
        value: Any = json.loads(text) if text and text.strip() else None
    except (ValueError, RecursionError):
        value = text
    if value is None:
        return ()
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    is_angles = isinstance(value, list) and len(value) == count and all(map(_is_angle, value))
    if not is_angles:
        msg = f"{field} must be a JSON array of {count} angles in radians, each from -pi to pi"
        raise InvalidArgumentError("OUT_OF_RANGE", msg, field=field)
    return tuple(map(float, value))


def _is_angle(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= math.pi
