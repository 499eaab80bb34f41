"""Owns the REST calls of one session. Never prints, waits or opens a microphone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict, cast

import httpx

from chunked_streaming_client.errors import GatewayError, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_BASE: Final = "/api/audio-driven/chunked"
_GONE: Final = (404, 410)


class InitAnswer(TypedDict):
    """What opening a session answers; the ``…_url`` are paths on the server."""

    status: str
    session_id: str
    hls_url: str
    live_url: str
    download_url: str
    message: str
    chunk_duration: float
    audio_sample_rate: int


class FeedAnswer(TypedDict):
    """What feeding answers; ``session_status`` as in ``SessionStatus.status``."""

    status: str
    session_id: str
    buffer_samples: int
    frames_generated: int
    session_status: str
    message: str


class SessionStatus(TypedDict, total=False):
    """Where a session stands; ``status`` is waiting_for_audio, processing, complete or error."""

    session_id: str
    status: str
    total_frames_generated: int
    buffer_samples: int
    error: str | None
    created_at: str
    uptime_seconds: float
    first_frame_ms: float | None
    lateness_ms_p50: float | None
    segments: int
    live_url: str
    download_url: str
    engine: str
    width: int
    height: int
    fps: int


class ChunkedStreamingClient:
    """One session of the gateway: a portrait, then audio as it comes.

    Attributes:
        server_url: of the gateway.
        session_id: of the open session, or ``None``.
    """

    def __init__(self, server_url: str = "http://localhost:9999", *, timeout_s: float = 60.0) -> None:
        self.server_url = server_url.rstrip("/")
        self.session_id: str | None = None
        self._answer: InitAnswer | None = None
        self._http = httpx.Client(timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clean up, and close the connection."""
        try:
            self.cleanup()
        finally:
            self._http.close()

    def init_session(  # noqa: PLR0913 - the names and their order are those that scripts already use
        self,
        image_path: str | Path | None,
        crop: bool | None = None,
        seed: int | None = None,
        nfe: int | None = None,
        cfg_scale: float | None = None,
        chunk_duration: float | None = None,
        audio_sample_rate: int | None = None,
        *,
        pose_style: Sequence[float] | None = None,
        gaze_style: Sequence[float] | None = None,
        engine: str | None = None,
        preset: str | None = None,
        avatar_id: str | None = None,
        mode: str | None = None,
    ) -> str:
        """Open a session and return its id. What is ``None`` is left to the server, whose defaults are named here.

        Args:
            image_path: JPEG, PNG or WebP picture of a face; ``None`` with ``avatar_id``.
            crop: whether to crop it to the face (true); not with ``avatar_id``.
            seed: of everything random (42).
            nfe: steps of a generative engine, 5 to 50 (10).
            cfg_scale: guidance of a generative engine, 1 to 5 (2.0).
            chunk_duration: seconds of audio that the caller means to send at a time, 0.1 to 10 (1.0).
            audio_sample_rate: of raw PCM chunks in Hz; files say their own (24000).
            pose_style: head pose of a generative engine.
            gaze_style: gaze of a generative engine.
            engine: its name (the server's default).
            preset: lowest_latency, balanced or best_quality.
            avatar_id: an avatar that the server keeps, in place of a picture.
            mode: on_audio, or live: the video goes on while nothing is fed (on_audio).

        Raises:
            OSError: if the picture cannot be read.
            GatewayError: if the server refuses.
        """
        chosen = {
            "crop": crop,
            "seed": seed,
            "nfe": nfe,
            "cfg_scale": cfg_scale,
            "chunk_duration": chunk_duration,
            "audio_sample_rate": audio_sample_rate,
            "pose_style": None if pose_style is None else json.dumps(list(pose_style)),
            "gaze_style": None if gaze_style is None else json.dumps(list(gaze_style)),
            "engine": engine,
            "preset": preset,
            "avatar_id": avatar_id,
            "mode": mode,
        }
        files = {}
        if image_path is not None:
            image = Path(image_path)
            files["image"] = (image.name, image.read_bytes())
        form = {name: _text(value) for name, value in chosen.items() if value is not None}
        answer = self._ask("POST", "/init", data=form, files=files)
        self._answer = cast("InitAnswer", answer)
        self.session_id = self._answer["session_id"]
        return self.session_id

    @property
    def answer(self) -> InitAnswer:
        """What the last ``init_session`` was answered: the URLs of the video, among others.

        Raises:
            ValueError: if there was none.
        """
        if self._answer is None:
            raise ValueError(_NO_SESSION)
        return self._answer

    def feed_audio_chunk(
        self, audio_data: bytes, is_final: bool = False, *, content_type: str = "audio/wav"
    ) -> FeedAnswer:
        """Send one chunk of speech; it answers at once, while frames are made.

        Args:
            audio_data: a WAV, MP3, FLAC, Ogg, WebM or M4A file, or raw samples with their content type.
            is_final: whether the speech ends with it.
            content_type: of ``audio_data``.

        Raises:
            ValueError: if there is no session.
            GatewayError: if the server refuses; status 429 with ``retry_after_s`` where it holds enough for now.
        """
        form = {"session_id": self._session(), "is_final_chunk": _text(is_final)}
        files = {"audio_chunk": ("chunk", audio_data, content_type)}
        return cast("FeedAnswer", self._ask("POST", "/feed", data=form, files=files))

    def get_status(self) -> SessionStatus:
        """Return where the session stands.

        Raises:
            ValueError: if there is no session.
            GatewayError: if the server knows it no more.
        """
        return cast("SessionStatus", self._ask("GET", f"/status/{self._session()}"))

    def cleanup(self) -> None:
        """End the session and remove its files; does nothing where there is none, or none any more.

        Raises:
            GatewayError: if the server refuses for another reason.
        """
        if self.session_id is None:
            return
        path, self.session_id = f"/session/{self.session_id}", None
        try:
            self._ask("DELETE", path)
        except GatewayError as error:
            if error.status not in _GONE:
                raise

    def url(self, path: str) -> str:
        """Return a path of an answer as a whole URL."""
        return self.server_url + path

    def download(self, path: str | Path) -> None:
        """Write the take so far, as MP4, to ``path``.

        Raises:
            ValueError: if there is no session.
            OSError: if the file cannot be written.
            GatewayError: if the server refuses.
        """
        url = self.url(self.answer["download_url"])
        try:
            with self._http.stream("GET", url) as response, Path(path).open("wb") as out:
                if response.is_error:
                    response.read()
                    raise refusal(response)
                out.writelines(response.iter_bytes())
        except httpx.HTTPError as error:
            raise _unreachable(error) from error

    def _session(self) -> str:
        if self.session_id is None:
            raise ValueError(_NO_SESSION)
        return self.session_id

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        try:
            response = self._http.request(method, self.url(_BASE + path), **request)
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        if response.is_error:
            raise refusal(response)
        try:
            return response.json()
        except ValueError:
            msg = "the server's answer is not JSON"
            raise GatewayError(msg, status=response.status_code) from None


_NO_SESSION: Final = "there is no session; call init_session() first"


def _text(value: object) -> str:
    """Return a form field: booleans as the server's JSON would have them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unreachable(error: httpx.HTTPError) -> GatewayError:
    timed_out = isinstance(error, httpx.TimeoutException)
    return GatewayError("the server did not answer in time" if timed_out else f"the server cannot be reached: {error}")
