"""Owns the settings of a server: one frozen record with the defaults. Reads nothing from outside; the CLI fills it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may set.

    Attributes:
        host: address to listen on.
        port: port of the gRPC service; 0 lets the system choose one.
        engine: name of the engine in the registry.
        engine_options: keyword arguments of that engine, as strings.
        workers: processes with an engine each; 0 runs one engine on a thread of the server's own process.
        capacity: sessions served at once; 0 for as many as the workers measure themselves to serve.
        head_room: share of the measured speed that is kept free for the front and for bad moments, 0 to 0.9.
        drain_grace_s: how long running sessions may go on after SIGTERM.
        init_timeout_s: how long a new stream may wait with its first message.
        idle_timeout_s: how long a client may keep silent while the session waits for audio.
        slow_reader_timeout_s: how long one message may wait for the client to read.
        prepare_timeout_s: how long a portrait may take to prepare.
        max_buffered_audio_s: audio kept ahead of the frames; beyond it the session stops reading.
        window_frames: frames that may be rendered and not yet read by the client.
    """

    host: str = "0.0.0.0"  # noqa: S104 - a service is for other machines; --host narrows it
    port: int = 50051
    engine: str = "portrait"
    engine_options: Mapping[str, str] = field(default_factory=dict)
    workers: int = 0
    capacity: int = 0
    head_room: float = 0.45
    drain_grace_s: float = 30.0
    init_timeout_s: float = 10.0
    idle_timeout_s: float = 30.0
    slow_reader_timeout_s: float = 30.0
    prepare_timeout_s: float = 30.0
    max_buffered_audio_s: float = 10.0
    window_frames: int = 25
