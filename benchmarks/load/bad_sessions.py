"""Owns the rows of bad inputs whose sessions go further over gRPC: too fast, silent, left, unread, over, resumed.

Two of them wait as long as the server's own limits are, which no option changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import grpc
from avatar.v1 import avatar_service_pb2, event_pb2, init_pb2

from avatar_service.audio import MAX_MESSAGE_BYTES
from load.bad_cases import Answer, Case, Request, Sender, audio, init, over, refusal

BYTES_A_SECOND: Final = 2 * 16_000
FAST_S: Final = 12
"""More than the server keeps ahead of the frames."""
UNREAD_S: Final = 8
"""Less than that, and of pictures more than the transport and the session's window hold."""
WORD: Final = BYTES_A_SECOND // 25
"""One frame."""
POLL_S: Final = 0.5
LEFT_WITHIN_S: Final = 15.0
"""Less than the 30 s after which a silent session would end by itself."""
UNREAD_WITHIN_S: Final = 60.0
STEPS: Final = ("at once", "after init", "after ready", "speaking", "watching", "ending")
RAW: Final = [init_pb2.VideoFormat(codec=init_pb2.VIDEO_CODEC_RAW_RGB)]
OVER: Final = ("NOT_FOUND", "SESSION_ENDED")
STRANGE: Final = ("PERMISSION_DENIED", "RESUME_TOKEN")


def cases() -> list[Case]:
    """Return all of them."""
    return [
        _case(22, "faster than real time", _fast, ("OK", f"{FAST_S * 25} frames")),
        _case(23, "a gap", _gap, ("DEADLINE_EXCEEDED", "IDLE_TIMEOUT")),
        *(_case(30, f"{name} of what is over", _asked_again(name), OVER) for name in ("GetSession", "EndSession")),
        _case(30, "ended from outside", _ended_from_outside, ("ABORTED", "SESSION_ENDED")),
        *(
            _case(43, f"cancelled {step}", _left(step), OVER if step in STEPS[2:] else ("CANCELLED", ""))
            for step in STEPS
        ),
        _case(44, "nothing is read", _unread, ("ABORTED", "SLOW_CONSUMER")),
        _case(57, "used token", _used, ("ABORTED", "RESUME_TOKEN_USED")),
        _case(57, "taken over", _taken_over, ("ABORTED", "SESSION_RESUMED")),
        _case(57, "made-up token", lambda sender, _: sender.tell(_resume("x" * 32)), STRANGE),
        _case(57, "token cut short", _cut_short, STRANGE),
        _case(57, "token of what is over", _of_what_is_over, STRANGE),
    ]


def _case(row: int, name: str, send: Callable[[Sender, int], Awaitable[Answer]], expected: Answer) -> Case:
    async def answered(sender: Sender, number: int) -> Answer:
        try:
            return await send(sender, number)
        except grpc.aio.AioRpcError as error:  # it ended sooner than it should have
            return refusal(error)

    return Case(row, name, answered, expected)


class Talk:
    """One call, message by message.

    Attributes:
        call: itself.
        ready: what the server said first.
        frames: that came.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self.call: Any = sender.stub.StreamAvatar()
        self.ready = event_pb2.Ready()
        self.frames = 0

    @classmethod
    async def opened(cls, sender: Sender, first: Request) -> Talk:
        """Return a call that is ready."""
        talk = cls(sender)
        await talk.say(first)
        await talk.until("ready")
        return talk

    async def say(self, *requests: Request) -> None:
        """Send requests. One that has ended takes no more; why, the reading side is told."""
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            for request in requests:
                await self.call.write(request)

    async def until(self, kind: str = "") -> None:
        """Read until a message of this kind came, or to the end.

        Raises:
            grpc.aio.AioRpcError: if the call fails.
        """
        async for response in self.call:
            self.frames += response.HasField("video")
            if response.HasField("ready"):
                self.ready = response.ready
            if response.WhichOneof("message") == kind:
                return

    async def rest(self) -> Answer:
        """Read to the end, and return how the call ended and how many frames there were in it."""
        await self.until()
        return "OK", f"{self.frames} frames"

    async def ask(self, name: str) -> Answer:
        """Call ``GetSession`` or ``EndSession`` for this session."""
        request = getattr(avatar_service_pb2, f"{name}Request")(session_id=self.ready.session_id)
        try:
            await getattr(self._sender.stub, name)(request)
        except grpc.aio.AioRpcError as error:
            return refusal(error)
        return "OK", name

    async def asked_until_over(self, within_s: float) -> Answer:
        """Call ``GetSession`` until it fails, or for so long; return its last answer."""
        answer = await self.ask("GetSession")
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while answer[0] == "OK":
                    await asyncio.sleep(POLL_S)
                    answer = await self.ask("GetSession")
        return answer


def _speech(seconds: int) -> list[Request]:
    content = bytes(seconds * BYTES_A_SECOND)
    return [audio(content[at : at + MAX_MESSAGE_BYTES]) for at in range(0, len(content), MAX_MESSAGE_BYTES)]


async def _fast(sender: Sender, _: int) -> Answer:
    talk = await Talk.opened(sender, init())
    saying = asyncio.create_task(talk.say(*_speech(FAST_S), over()))
    try:
        return await talk.rest()
    finally:
        saying.cancel()


async def _gap(sender: Sender, number: int) -> Answer:
    """Half of them say a word before they fall silent."""
    return await sender.tell(init(), *[audio(bytes(WORD))] * (number % 2))


def _asked_again(name: str) -> Callable[[Sender, int], Awaitable[Answer]]:
    async def send(sender: Sender, _: int) -> Answer:
        talk = await Talk.opened(sender, init())
        await talk.say(audio(bytes(WORD)), over())
        ended = await talk.rest()
        return await talk.ask(name) if ended == ("OK", "1 frames") else ended

    return send


async def _ended_from_outside(sender: Sender, _: int) -> Answer:
    talk = await Talk.opened(sender, init())
    await talk.ask("EndSession")
    return await talk.rest()


def _left(step: str) -> Callable[[Sender, int], Awaitable[Answer]]:
    """Leave at a step; return what is said of the session then, or, if its name is not known yet, how the call ended.

    That no slot stays taken shows when all cases were played: as many must be free as in the beginning.
    """
    reached = STEPS.index(step)

    async def send(sender: Sender, _: int) -> Answer:
        talk = Talk(sender)
        if reached >= 1:
            await talk.say(init())
        if reached >= 2:
            await talk.until("ready")
        if reached >= 3:
            await talk.say(*_speech(4))
        if reached >= 4:
            await talk.until("video")
        if reached >= 5:
            await talk.say(over())
        talk.call.cancel()
        return await talk.asked_until_over(LEFT_WITHIN_S) if reached >= 2 else ((await talk.call.code()).name, "")

    return send


async def _unread(sender: Sender, _: int) -> Answer:
    talk = await Talk.opened(sender, init(video=RAW))
    await talk.say(*_speech(UNREAD_S))
    ended = await talk.asked_until_over(UNREAD_WITHIN_S)
    return await talk.rest() if ended == OVER else ended


def _resume(token: str) -> Request:
    return Request(init=init_pb2.Init(resume=init_pb2.Resume(token=token)))


async def _resumed(sender: Sender) -> tuple[Talk, Talk]:
    """Return a session's first call and the one that goes on with it, which has said something since."""
    first = await Talk.opened(sender, init(resumable=True))
    second = await Talk.opened(sender, _resume(first.ready.resume_token))
    await second.say(*_speech(1))
    await second.until("video")
    return first, second


async def _used(sender: Sender, _: int) -> Answer:
    first, second = await _resumed(sender)
    answer = await sender.tell(_resume(first.ready.resume_token))
    second.call.cancel()
    return answer


async def _taken_over(sender: Sender, _: int) -> Answer:
    first, second = await _resumed(sender)
    try:
        return await first.rest()
    finally:
        second.call.cancel()


async def _cut_short(sender: Sender, _: int) -> Answer:
    talk = await Talk.opened(sender, init(resumable=True))
    answer = await sender.tell(_resume(talk.ready.resume_token[:-1]))
    talk.call.cancel()
    return answer


async def _of_what_is_over(sender: Sender, _: int) -> Answer:
    talk = await Talk.opened(sender, init(resumable=True))
    await talk.ask("EndSession")
    with suppress(grpc.aio.AioRpcError):
        await talk.until()
    return await sender.tell(_resume(talk.ready.resume_token))
