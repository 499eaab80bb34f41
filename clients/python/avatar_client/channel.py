"""Owns how a channel to the service is opened and how long its calls may take. Never sends a message."""

from __future__ import annotations

from typing import Final

MAX_RECEIVE_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""Largest message a client accepts: one uncompressed 1920 x 1920 frame is 11 MB."""

DEFAULT_READY_TIMEOUT_S: Final = 45.0
"""How long opening a session may take; a large portrait on a busy server needs several seconds."""

DEFAULT_CALL_TIMEOUT_S: Final = 10.0
"""How long a short call may take."""

TRANSPORT_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    # gRPC's own flow control lets 4 to 6 MiB pile up each way, 12 s of video, before a write waits. With a fixed
    # small window it is about 0.1 MiB, so a slow reader is felt at once and an interrupt is not stuck behind frames.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 65536),
    # A frozen or unplugged peer is found within 12 s; without the ping timeout it takes a minute.
    ("grpc.keepalive_time_ms", 8_000),
    ("grpc.keepalive_timeout_ms", 4_000),
    ("grpc.http2.ping_timeout_ms", 4_000),
)
"""What client and server must both set; a server must also accept pings this often."""

AWAITS_ROOM: Final = ("avatar-awaits-room", "1")
"""Metadata of a call that sends nothing until the server answers by its own metadata, which it does if it has room."""

ROOM_WITHIN_S: Final = 5.0
"""How long to wait for that: a server that does not know it says nothing before it has read ``init``.

Shorter than its patience for ``init``, and longer than a busy client needs to hear a refusal: one that writes just then
gets an INTERNAL of gRPC's own in its place.
"""


def channel_options() -> list[tuple[str, int]]:
    """Return the options of a client's channel, for ``grpc.aio.insecure_channel`` and its relatives."""
    return [*TRANSPORT_OPTIONS, ("grpc.max_receive_message_length", MAX_RECEIVE_MESSAGE_BYTES)]
