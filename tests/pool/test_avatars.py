"""The avatars that are kept by name, over seats whose workers do what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from avatar_service.engine.base import Notice, PrepareOptions
from avatar_service.engine.fake import FakeEngine
from avatar_service.errors import (
    AvatarError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)
from avatar_service.pool.avatars import Avatars, KeptAvatar
from avatar_service.pool.loop import Answer
from avatar_service.pool.messages import Alive, AvatarKey, Command, Discard, Failed, Keep, Kept, Ping, Warm
from avatar_service.pool.seat import Seat

SEVERAL = Notice("SEVERAL_FACES", "there are two")
NO_FACE = InvalidArgumentError("NO_FACE", "nothing to see", field="init.portrait")
PLAIN = PrepareOptions()


class Scripted:
    """A worker that prepares at once, unless the test says otherwise.

    Attributes:
        sent: what it was told, beside heartbeats.
        error: what preparing fails with.
        nbytes: what each avatar holds.
        waits: whether it answers only when told to.
        may_start: while cleared, it does not get warm.
    """

    def __init__(self) -> None:
        self.sent: list[Command] = []
        self.error: AvatarError | None = None
        self.nbytes = 100
        self.waits = False
        self.asked = asyncio.Event()
        self.gone = asyncio.Event()
        self.may_start = asyncio.Event()
        self.may_start.set()
        self._owed: list[Keep] = []

    async def start(self, deliver: Callable[[list[Answer]], None]) -> Warm:
        """Be warm."""
        await self.may_start.wait()
        self._deliver = deliver
        return Warm(FakeEngine().spec, 2)

    def send(self, command: Command | Ping) -> None:
        """Take a command."""
        if isinstance(command, Ping):
            self._deliver([Alive()])
            return
        self.sent.append(command)
        if isinstance(command, Keep):
            self._owed.append(command)
            self.asked.set()
            if not self.waits:
                asyncio.get_running_loop().call_soon(self.answer)

    def answer(self) -> None:
        """Say how the order went that was waiting longest."""
        key = self._owed.pop(0).key
        said = Kept(key, (512, 512), (SEVERAL,), self.nbytes) if self.error is None else Failed(key, self.error)
        self._deliver([said])

    def share(self) -> float:
        """Have all of the time."""
        return 1.0

    async def ended(self) -> None:
        """Return once the test says so."""
        await self.gone.wait()

    async def stop(self, patience_s: float = 0) -> None:
        """Be gone."""
        del patience_s
        self.gone.set()

    @property
    def kept(self) -> list[str]:
        """What it was to keep and not to discard, in the order of the first time."""
        names: dict[str, None] = {}
        for command in self.sent:
            if isinstance(command, Keep):
                names[command.key.avatar_id] = None
            elif isinstance(command, Discard):
                names.pop(command.key.avatar_id, None)
        return list(names)


class Place:
    """Seats, their workers and what is kept there.

    Attributes:
        workers: of each seat, the first and its replacements.
        avatars: under test.
        prepare: how the workers to come behave.
    """

    def __init__(self, seats: int, most: int, most_bytes: int) -> None:
        self.prepare: Callable[[Scripted], None] = lambda _worker: None
        self.changed = asyncio.Event()
        self.workers: list[list[Scripted]] = [[] for _ in range(seats)]
        self.seats = [Seat(self._creates(number), 2, self.changed.set, self._replaced) for number in range(seats)]
        self.avatars = Avatars(self.seats, most, most_bytes)

    def _creates(self, number: int) -> Callable[[], Scripted]:
        def create() -> Scripted:
            worker = Scripted()
            self.prepare(worker)
            self.workers[number].append(worker)
            return worker

        return create

    def _replaced(self, seat: Seat) -> None:
        self.avatars.restore(seat)

    async def create(self, portrait: bytes = b"face", *, within_s: float = 5.0, name: str = "") -> KeptAvatar:
        """Have an avatar kept."""
        return await self.avatars.create(portrait, PLAIN, display_name=name, within_s=within_s)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once something holds that a seat's change, or a few turns of the loop, bring about."""
        async with asyncio.timeout(5):
            while not holds():
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await self.changed.wait()
                self.changed.clear()

    async def lose(self, number: int) -> None:
        """Lose a seat's worker; return once another has its place."""
        worker = self.workers[number][-1]
        worker.gone.set()
        await self.until(lambda: self.workers[number][-1] is not worker and self.seats[number].serving)


@asynccontextmanager
async def placed(seats: int = 2, most: int = 64, most_bytes: int = 10_000) -> AsyncIterator[Place]:
    """Yield a place whose seats have started."""
    place = Place(seats, most, most_bytes)
    for seat in place.seats:
        await seat.start()
    try:
        yield place
    finally:
        for seat in place.seats:
            await seat.stop()


async def refusal(call: Awaitable[object]) -> AvatarError:
    """Return the error of ours that a call ends with."""
    with pytest.raises(AvatarError) as caught:
        await call
    return caught.value


async def test_an_avatar_is_prepared_on_every_worker() -> None:
    """Before its creator is told of it; and what is told is what the workers say."""
    async with placed() as place:
        made = await place.create(b"face", name="Ada")
        assert [workers[0].sent for workers in place.workers] == [[Keep(AvatarKey(made.id), b"face", PLAIN)]] * 2
        assert (made.display_name, made.frame_size, made.notices, made.nbytes) == ("Ada", (512, 512), (SEVERAL,), 104)
        assert place.avatars.find(made.id) is made
        assert repr(place.avatars) == "<Avatars 1 of 64 kept>"


async def test_ids_cannot_be_guessed_and_the_list_is_in_order() -> None:
    """The same portrait twice is two avatars, each with 192 random bits for a name."""
    async with placed() as place:
        made = [await place.create() for _ in range(3)]
        assert [*place.avatars] == made
        assert len({each.id for each in made}) == 3
        assert all(len(each.id) == 32 for each in made)


async def test_a_deleted_avatar_is_forgotten_everywhere() -> None:
    """Its id means nothing any more, and the others stay."""
    async with placed() as place:
        gone, stays = await place.create(), await place.create()
        place.avatars.delete(gone.id)
        assert [workers[0].kept for workers in place.workers] == [[stays.id]] * 2
        for ask in (place.avatars.find, place.avatars.delete):
            with pytest.raises(NotFoundError, match="no avatar of this id") as caught:
                ask(gone.id)
            assert caught.value.reason == "AVATAR_UNKNOWN"
        assert place.avatars.find(stays.id) is stays


async def test_what_cannot_be_animated_costs_one_worker_one_look() -> None:
    """The others are not asked, the error is the engine's own, and nothing is kept."""
    async with placed() as place:
        for workers in place.workers:
            workers[0].error = NO_FACE
        assert await refusal(place.create()) is NO_FACE
        assert [*place.avatars] == []
        assert sum(isinstance(command, Keep) for workers in place.workers for command in workers[0].sent) == 1
        assert [workers[0].kept for workers in place.workers] == [[], []]


async def test_the_number_of_avatars_is_bounded() -> None:
    """One too many is refused without a look at it; with one deleted it is welcome."""
    async with placed(most=2) as place:
        first, _ = await place.create(), await place.create()
        error = await refusal(place.create())
        assert isinstance(error, ResourceExhaustedError)
        assert (error.reason, error.retry_after_s) == ("AVATARS_FULL", None)
        assert len(place.workers[0][0].sent) == 2
        place.avatars.delete(first.id)
        await place.create()


async def test_the_bytes_of_avatars_are_bounded() -> None:
    """Picture and what is made of it count; one that turns out too large is not kept anywhere."""
    async with placed(most_bytes=300) as place:
        small = await place.create(b"x" * 50)
        assert (await refusal(place.create(b"x" * 51))).reason == "AVATARS_FULL"
        assert (await refusal(place.create(b"x" * 400))).reason == "AVATARS_FULL"
        assert [workers[0].kept for workers in place.workers] == [[small.id]] * 2
        await place.create(b"x" * 50)


async def test_a_worker_that_replaces_another_prepares_them_again() -> None:
    """All that are kept, in their order, and not those that were deleted."""
    async with placed() as place:
        made = [await place.create(bytes([number])) for number in range(4)]
        place.avatars.delete(made[1].id)
        await place.lose(0)
        stay = [made[0].id, made[2].id, made[3].id]
        await place.until(lambda: place.workers[0][1].kept == stay)
        assert place.workers[1][0].kept == stay


async def test_a_new_worker_is_asked_for_one_at_a_time() -> None:
    """So that a session's own portrait comes between; what is deleted meanwhile is left out."""
    async with placed() as place:
        made = [await place.create(bytes([number])) for number in range(3)]
        place.prepare = lambda worker: setattr(worker, "waits", True)
        await place.lose(0)
        worker = place.workers[0][1]
        assert worker.kept == [made[0].id]
        place.avatars.delete(made[1].id)
        worker.answer()
        assert worker.kept == [made[0].id, made[2].id]


async def test_a_new_worker_that_is_lost_too_leaves_it_to_the_next() -> None:
    """What was asked of it is asked anew; a failure of one avatar does not keep the others from being made."""
    async with placed() as place:
        made = [await place.create(bytes([number])) for number in range(3)]
        place.prepare = lambda worker: setattr(worker, "waits", True)
        await place.lose(0)
        place.prepare = lambda worker: setattr(worker, "error", NO_FACE)
        await place.lose(0)
        await place.until(lambda: place.workers[0][2].kept == [each.id for each in made])
        assert place.workers[0][1].kept == [made[0].id]


async def test_a_worker_that_is_lost_meanwhile_fails_the_creation() -> None:
    """Its portrait may be the reason, so no other worker is asked to prepare it."""
    async with placed() as place:
        for workers in place.workers:
            workers[0].waits = True
        creating = asyncio.create_task(place.create())
        first = place.workers[0][0]
        await first.asked.wait()
        first.gone.set()
        assert (await refusal(creating)).reason == "WORKER_LOST"
        await place.until(lambda: len(place.workers[0]) > 1 and place.seats[0].serving)
        assert place.workers[0][1].sent == []
        assert not any(isinstance(command, Keep) for command in place.workers[1][0].sent)


async def test_a_worker_that_was_away_gets_it_later() -> None:
    """An avatar is created while one worker of two is being replaced."""
    async with placed() as place:
        place.prepare = lambda worker: worker.may_start.clear()
        place.workers[1][0].gone.set()
        await place.until(lambda: len(place.workers[1]) > 1)
        there, away = place.workers[0][0], place.workers[1][1]
        there.waits = True
        creating = asyncio.create_task(place.create())
        await there.asked.wait()
        away.may_start.set()
        await place.until(lambda: place.seats[1].serving)
        there.answer()
        made = await creating
        assert (there.kept, away.kept) == ([made.id], [made.id])


async def test_without_a_worker_nothing_is_prepared() -> None:
    """The call may be repeated."""
    async with placed() as place:
        for seat in place.seats:
            await seat.stop()
        error = await refusal(place.create())
        assert isinstance(error, UnavailableError)
        assert error.reason == "NOT_READY"


async def test_a_creation_that_takes_too_long_is_given_up() -> None:
    """And undone; what the worker says of it later changes nothing."""
    async with placed(seats=1) as place:
        (worker,) = place.workers[0]
        worker.waits = True
        assert (await refusal(place.create(within_s=0.01))).reason == "PREPARE_TIMEOUT"
        worker.answer()
        assert ([*place.avatars], worker.kept) == ([], [])
        worker.waits = False
        await place.create()


async def test_a_creator_who_leaves_leaves_nothing() -> None:
    """A cancelled call is undone, and the next one gets its turn."""
    async with placed(seats=1) as place:
        (worker,) = place.workers[0]
        worker.waits = True
        leaving = asyncio.create_task(place.create())
        await worker.asked.wait()
        following = asyncio.create_task(place.create(b"next"))
        leaving.cancel()
        await place.until(lambda: sum(isinstance(command, Keep) for command in worker.sent) == 2)
        worker.answer()
        worker.answer()
        made = await following
        assert ([*place.avatars], worker.kept) == ([made], [made.id])


async def test_creations_take_turns_and_few_may_wait() -> None:
    """One is prepared at a time; beyond eight the caller is told when to come again."""
    async with placed(seats=1) as place:
        (worker,) = place.workers[0]
        worker.waits = True
        creating = [asyncio.create_task(place.create(bytes([number]))) for number in range(8)]
        await worker.asked.wait()
        error = await refusal(place.create())
        assert isinstance(error, ResourceExhaustedError)
        assert (error.reason, error.retry_after_s) == ("AVATARS_BUSY", 1.0)
        assert len(worker.sent) == 1
        worker.waits = False
        worker.answer()
        made = await asyncio.gather(*creating)
        assert [each.portrait for each in place.avatars] == [each.portrait for each in made]
