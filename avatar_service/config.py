"""Owns the settings: a frozen record of defaults for each process. Reads nothing from outside; the CLI fills it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


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
        max_buffered_live_s: the same in LIVE, where an interrupt must not be stuck behind speech that came early.
        window_frames: frames that may be rendered and not yet read by the client.
        max_avatars: avatars that may be kept by name.
        max_avatar_bytes: what they may hold together: each its picture, and what a worker makes of it.
        resume_within_s: how long a resumable session whose call ended is kept.
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
    max_buffered_live_s: float = 60.0
    window_frames: int = 25
    max_avatars: int = 64
    max_avatar_bytes: int = 512 * 1024**2
    resume_within_s: float = 30.0

    def buffered_s(self, *, live: bool) -> float:
        """Return how much audio a session keeps ahead of its frames."""
        return self.max_buffered_live_s if live else self.max_buffered_audio_s


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What an operator may set of a gateway.

    Attributes:
        server: ``host:port`` of the service.
        host: address to listen on.
        port: port of HTTP; 0 lets the system choose one.
        folder: where the takes lie while it runs, in a folder of its own; ``None`` for the system's temporary one.
        cors_origins: origins whose pages may read the answers; none means only the gateway's own page may.
        max_sessions: sessions that may exist at once; those without a slot of the service count too.
        inactive_s: a session that was neither fed nor asked about for so long is ended, and its files are deleted.
        drain_grace_s: how long takes may go on playing once the server was told to end.
        idle_slot_s: a session that was not fed for so long gives its slot of the service back until it is fed again.
        resume_s: how long the service may be away, or an engine of it, before the sessions there are given up.
        spool_s: audio that a session may be fed ahead of the service.
        window_s: media that a playlist lists; what is older stays on disk for the download.
        first_segment_wait_s: how long a playlist may be waited for before the session's first segment.
        take_bytes: what one session may hold on disk.
        store_bytes: what all sessions together may; beyond it the takes that ended first are deleted.
        ice_servers: of WebRTC, as ``stun:HOST:PORT`` or ``turn:USER:PASSWORD@HOST:PORT?transport=udp``.
        max_viewers: of one live session.
        connect_within_s: how long a WebRTC peer may take until media can flow.
        peer_silence_s: a peer from whom nothing came for so long is gone.
        synthesiser: name or path of espeak-ng, which speaks text where it is installed; empty for none.
        unwatched_s: a live session that nobody watches for so long is ended; within it a viewer may come back.
    """

    server: str = "localhost:50051"
    host: str = "0.0.0.0"  # noqa: S104 - viewers are on other machines; --host narrows it
    port: int = 9999
    folder: Path | None = None
    cors_origins: tuple[str, ...] = ()
    max_sessions: int = 256
    inactive_s: float = 3000.0
    drain_grace_s: float = 30.0
    idle_slot_s: float = 30.0
    resume_s: float = 10.0
    spool_s: float = 600.0
    window_s: float = 600.0
    first_segment_wait_s: float = 8.0
    take_bytes: int = 2 * 1024**3
    store_bytes: int = 16 * 1024**3
    ice_servers: tuple[str, ...] = ()
    max_viewers: int = 16
    connect_within_s: float = 10.0
    peer_silence_s: float = 10.0
    synthesiser: str = "espeak-ng"
    unwatched_s: float = 15.0
