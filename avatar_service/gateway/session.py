"""Owns one session of the gateway: its speech, its calls to the service, and its state.

A session outlives its calls. One that is not fed for a while ends its call, which gives its slot of the service back;
the next feed opens another, and the take goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final

from avatar_client import AvatarClient, AvatarRpcError

from avatar_service.errors import (
    AvatarError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
)
from avatar_service.gateway.call import Call
from avatar_service.gateway.feed import Chunk, Fed, decode
from avatar_service.gateway.hls.tracks import SOUND_RATE_HZ
from avatar_service.gateway.livecall import LiveCall
from avatar_service.gateway.order import SPEECH, Order
from avatar_service.gateway.progress import Progress
from avatar_service.gateway.publisher import Publisher
from avatar_service.gateway.segments import Segments
from avatar_service.gateway.sequence import ChunkSequence
from avatar_service.gateway.speech import SpeechQueue
from avatar_service.gateway.spool import Spool
from avatar_service.gateway.take import Take
from avatar_service.log import REQUEST_ID_HEADER, request_id

if TYPE_CHECKING:
    from avatar_service.config import GatewaySettings
    from avatar_service.gateway.store import Folder

_log = logging.getLogger(__name__)

_PORTRAIT: Final = "portrait"
_SAMPLE_BYTES: Final = 2


class Session:
    """One session.

    Args:
        session_id: minted by the server.
        order: how it is to be made.
        folder: for its files; deleted with it.
        client: of the service.
        settings: bounds.
        is_paced: publish at the pace at which it plays.

    Attributes:
        id: as given.
        order: as given.
        take: what was made.
        segments: its media.
        publisher: its publication.
        movie_lock: held while its download is written.
        progress: its figures.
        failure: why it failed, if it did.
        touched_s: when it was last fed or asked about, in monotonic seconds.
    """

    def __init__(
        self,
        session_id: str,
        order: Order,
        folder: Folder,
        client: AvatarClient,
        settings: GatewaySettings,
        *,
        is_paced: bool = True,
    ) -> None:
        self.id = session_id
        self.order = order
        self.folder = folder
        self._client = client
        self._settings = settings
        self._sequence = ChunkSequence()
        most_bytes = int(settings.spool_s * SOUND_RATE_HZ) * _SAMPLE_BYTES
        self._speech = SpeechQueue(Spool(folder.open("speech"), most_bytes))
        self._lock = asyncio.Lock()
        self._call: Call | None = None
        self._calling: asyncio.Task[None] | None = None
        self.publisher = Publisher(settings.window_s, is_paced=is_paced and not order.is_live)
        self.segments = Segments(folder)
        self.take = Take(self.segments, self.publisher)
        self.movie_lock = asyncio.Lock()
        self.progress = Progress()
        self.failure: AvatarRpcError | AvatarError | None = None
        self.is_complete = False
        self.touched_s = time.monotonic()
        self._publication = asyncio.get_running_loop().create_task(self.publisher.run())

    @property
    def is_over(self) -> bool:
        """Whether nothing will be made any more."""
        return self.is_complete or self.failure is not None

    @property
    def is_playing(self) -> bool:
        """Whether anything that was fed is not yet made and published."""
        is_coming = self._speech.is_final and not self.is_over
        return is_coming or self.state == "processing" or self.publisher.is_busy

    @property
    def state(self) -> str:
        """What the session is doing, in the words of the REST API."""
        if self.failure is not None:
            return "error"
        if self.is_complete:
            return "complete"
        return "processing" if len(self._speech) or self.progress.is_processing else "waiting_for_audio"

    @property
    def waiting_samples(self) -> int:
        """Samples at 48 kHz that are not shown yet."""
        return len(self._speech) + round(self.progress.buffered_s * SOUND_RATE_HZ)

    def touch(self) -> None:
        """Note that somebody uses the session."""
        self.touched_s = time.monotonic()

    async def open(self, portrait: bytes) -> None:
        """Take a slot of the service, which prepares the portrait.

        Raises:
            AvatarRpcError: if the service refuses.
            OSError: if the disk is full.
        """
        self.folder.write(_PORTRAIT, portrait)
        await self._admit()

    async def feed(self, content: bytes, content_type: str, *, is_final: bool, seq: int | None = None) -> Fed:
        """Take a chunk of speech, which may be empty; it is shown in the order of the calls.

        Args:
            content: a small audio file, or raw samples.
            content_type: says which.
            is_final: whether it is the last one.
            seq: its number, if the client counts.

        Raises:
            AvatarError: if it cannot be taken, and was not.
            AvatarRpcError: if the session has no slot and the service refuses one.
            OSError: if the disk is full.
        """
        self.touch()
        if seq is not None:
            await self._sequence.come(seq)
        async with self._lock:  # a chunk may be repeated while the first of its requests is still dealt with
            is_repeated = seq is not None and self._sequence.is_repeated(seq, content)
            if is_repeated or (self._speech.is_final and is_final and not content):
                return Fed(self.waiting_samples, repeated=True)
            self._check_open()
            chunk = await asyncio.to_thread(decode, content, content_type, self.order.audio_sample_rate)
            await self._add(chunk, is_final=is_final)
            if seq is not None:
                await self._sequence.taken(seq, content)
        return Fed(self.waiting_samples)

    async def _add(self, chunk: Chunk, *, is_final: bool) -> None:
        # There is room again when as much has played as the chunk holds.
        self._speech.check(chunk, retry_after_s=len(chunk.samples) / chunk.rate_hz)
        if len(chunk.samples):
            await self._ensure_call()
            self.progress.fed()
        try:
            self._speech.put(chunk, is_final=is_final)
        except OSError:
            if self._calling is not None:
                self._calling.cancel()
            self._fail(_disk())
            raise
        if is_final:
            await self._end_without_call()

    def _check_open(self) -> None:
        if self.failure is not None:
            raise FailedPreconditionError("SESSION_FAILED", "the session has failed", subject="session")
        if self._speech.is_final:
            msg = "the final chunk was fed already; start a new session"
            raise FailedPreconditionError("FEED_AFTER_FINAL", msg, subject="session")

    async def abandon(self) -> None:
        """End the session because nobody uses it: the slot is given back, the playlist ends, the files stay."""
        if not self.is_over:
            self.failure = DeadlineExceededError("SESSION_ABANDONED", "the session was not used for too long")
            await self.close()

    async def close(self) -> None:
        """Give the slot back and end the playlist; the files stay."""
        for task in (self._calling, self._publication):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await self.publisher.close()
        self._speech.close()

    # Calls -----------------------------------------------------------------------------------------------------------

    async def _ensure_call(self) -> None:
        await self._await_leaving()
        self._check_open()
        if self._call is None:
            await self._admit()

    async def _end_without_call(self) -> None:
        """End the take here if there is no call whose end would do it."""
        await self._await_leaving()
        if self._call is None:
            if len(self._speech):  # what resampling held back
                await self._admit()
            elif not self.is_over:
                self._finish_call()

    async def _await_leaving(self) -> None:
        """Wait for the end of a call that takes no more speech."""
        if self._call is not None and self._call.is_leaving and self._calling is not None:
            await asyncio.wait([self._calling])

    async def _admit(self) -> None:
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        kind = LiveCall if self.order.is_live else Call
        self._call = kind(self._speech, self.take, self.progress, self.folder, self._settings)
        self._calling = asyncio.create_task(self._converse(self._call, admitted))
        self._calling.add_done_callback(lambda calling: self._note_fault(calling, admitted))
        try:
            await admitted
        except BaseException:
            self._calling.cancel()
            self._call = None
            raise

    async def _converse(self, call: Call, admitted: asyncio.Future[None]) -> None:
        """Hold one call, from admission to its last frame."""
        try:
            stream = self._client.stream(
                self.folder.read(_PORTRAIT),
                avatar_id=self.order.avatar_id,
                audio=SPEECH,
                video=self.order.video(),
                engine=self.order.engine,
                mode=self.order.mode,
                generation=self.order.generation(),
                metadata=[(REQUEST_ID_HEADER, request_id.get())],
                resume_s=self._settings.resume_s,
            )
            async with stream:
                self.take.begin_call(stream.ready)
                self.progress.begin_call(stream.ready)
                admitted.set_result(None)
                await call.run(stream)
            self._finish_call()
        except (AvatarRpcError, AvatarError) as error:
            self._refuse(error, admitted)
        except OSError:
            _log.exception("a take cannot be written")
            self._refuse(_disk(), admitted)

    def _finish_call(self) -> None:
        self._call = None
        self.progress.end_call()
        is_last = self._speech.is_spent
        self.take.end_call(is_last=is_last)
        self.is_complete = is_last

    def _note_fault(self, calling: asyncio.Task[None], admitted: asyncio.Future[None]) -> None:
        """Fail the session where its call ended by a fault of ours."""
        if calling.cancelled() or (error := calling.exception()) is None:
            return
        _log.error("a session failed", exc_info=error)
        self._refuse(InternalError("INTERNAL", "the server failed on this session; its log says why"), admitted)

    def _refuse(self, error: AvatarRpcError | AvatarError, admitted: asyncio.Future[None]) -> None:
        """Tell whoever waits for admission, or fail."""
        if admitted.done():
            self._fail(error)
        else:
            admitted.set_exception(error)

    def _fail(self, error: AvatarRpcError | AvatarError) -> None:
        """End the take with what was made of it."""
        _log.warning("a session failed: %s", error.reason or error)
        self._call = None
        self.failure = error
        self.progress.end_call()
        with contextlib.suppress(OSError):
            self.take.end_call(is_last=True)


def _disk() -> InternalError:
    return InternalError("DISK", "the take cannot be stored")
