"""The client for plain threads."""

from avatar_client.sync.client import AvatarClient
from avatar_client.sync.stream import AvatarStream

__all__ = ["AvatarClient", "AvatarStream"]
