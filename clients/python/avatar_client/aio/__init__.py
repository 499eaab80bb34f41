"""The client for asyncio."""

from avatar_client.aio.client import AvatarClient
from avatar_client.aio.stream import AvatarStream

__all__ = ["AvatarClient", "AvatarStream"]
