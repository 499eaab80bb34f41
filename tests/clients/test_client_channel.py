"""The channel: what was measured to keep flow control tight stays set."""

from __future__ import annotations

from avatar_client.channel import MAX_RECEIVE_MESSAGE_BYTES, channel_options


def test_options_keep_buffers_small_and_find_dead_peers() -> None:
    """A channel has a fixed small window, a keepalive within 12 s, and room for an uncompressed frame."""
    options = dict(channel_options())
    assert options["grpc.http2.bdp_probe"] == 0
    assert options["grpc.http2.lookahead_bytes"] == 65536
    assert options["grpc.keepalive_time_ms"] + options["grpc.keepalive_timeout_ms"] <= 12_000
    assert options["grpc.http2.ping_timeout_ms"] <= 4_000
    assert options["grpc.max_receive_message_length"] == MAX_RECEIVE_MESSAGE_BYTES > 1920 * 1920 * 3
