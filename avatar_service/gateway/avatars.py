"""Owns the endpoints of avatars that the service keeps: create, list, delete. Translates; the service does the rest."""

from __future__ import annotations

from typing import Annotated

from avatar_client import Avatar, AvatarClient
from fastapi import APIRouter, File, Form, Request, UploadFile
from pydantic import BaseModel

from avatar_service.gateway.form import MAX_ENGINE_CHARACTERS, read_portrait

router = APIRouter(prefix="/api/avatars", tags=["avatars"])


class KeptAvatar(BaseModel):
    """An avatar that the service keeps."""

    avatar_id: str
    display_name: str
    engine: str
    width: int
    height: int
    warnings: list[str]
    memory_bytes: int
    created_at: str


class AvatarList(BaseModel):
    """All of them, the oldest first."""

    avatars: list[KeptAvatar]


class AvatarDeleted(BaseModel):
    """An avatar was forgotten."""

    status: str = "success"
    avatar_id: str


@router.post("", status_code=201)
async def create_avatar(
    *,
    request: Request,
    image: Annotated[UploadFile | None, File(description="JPEG, PNG or WebP; at most 10 MiB and 16 megapixels")] = None,
    crop: Annotated[bool, Form(description="Find the face and crop to it")] = True,
    crop_scale: Annotated[float, Form(ge=0.5, le=2, allow_inf_nan=False, description="Size of the crop")] = 1.0,
    paste_back: Annotated[bool, Form(description="Show the whole picture with the face in its place")] = False,
    engine: Annotated[str, Form(max_length=MAX_ENGINE_CHARACTERS, description="Empty: the service's default")] = "",
    display_name: Annotated[str, Form(max_length=128, description="For people who look at the list")] = "",
) -> KeptAvatar:
    """Have a portrait prepared ahead; forms then name it as `avatar_id` in place of an `image`."""
    made = await _client(request).create_avatar(
        await read_portrait(image),
        engine=engine,
        crop=crop,
        crop_scale=crop_scale,
        paste_back=paste_back,
        display_name=display_name,
    )
    return _kept(made)


@router.get("")
async def list_avatars(request: Request) -> AvatarList:
    """List the avatars that the service keeps, whoever created them."""
    return AvatarList(avatars=[_kept(avatar) for avatar in await _client(request).avatars()])


@router.delete("/{avatar_id}")
async def delete_avatar(request: Request, avatar_id: str) -> AvatarDeleted:
    """Forget an avatar; sessions that show it go on, but cannot take a slot again once they gave theirs back."""
    await _client(request).delete_avatar(avatar_id)
    return AvatarDeleted(avatar_id=avatar_id)


def _client(request: Request) -> AvatarClient:
    client: AvatarClient = request.app.state.client
    return client


def _kept(avatar: Avatar) -> KeptAvatar:
    return KeptAvatar(
        avatar_id=avatar.avatar_id,
        display_name=avatar.display_name,
        engine=avatar.engine,
        width=avatar.width,
        height=avatar.height,
        warnings=[warning.reason for warning in avatar.warnings],
        memory_bytes=avatar.memory_bytes,
        created_at=avatar.create_time.ToJsonString(),
    )
