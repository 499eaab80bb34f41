"""A model of nothing, so that the stream around it can be tested in milliseconds; and speech to feed it with."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from avatar_service.assets import FOLDER
from avatar_service.engine.base import Controls, Motion, MotionStep, Samples

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

FRAME = 640


class Puppet:
    """Looks like ``Model``: motion is speech and noise through fixed matrices, frames are motion as grey levels.

    It is no stub of the engine: what it does depends on every input that the real one depends on.
    """

    def __init__(self) -> None:
        import torch
        from torch import nn

        random = torch.Generator().manual_seed(3)
        self.device = torch.device("cpu")
        self.side = self.portrait_side = 64
        self.generation = 2
        self.hears = torch.randn(8, 768, generator=random)
        self.embeds = torch.randn(768, 32, generator=random) / 768**0.5
        self.calls: list[tuple[int, int]] = []
        block = nn.Sequential()
        block.add_module("qkv", nn.Linear(32, 32, bias=False))
        flow = nn.ModuleDict({"blocks": nn.ModuleList([nn.ModuleDict({"attn": nn.ModuleDict({"qkv": block[0]})})])})
        block[0].weight = nn.Parameter(torch.eye(32), requires_grad=False)
        self.generator = SimpleNamespace(flow=flow)
        self._layer = block[0]

    def features_normalised(self, audio: Tensor) -> Tensor:
        """Hear loudness over the windows' 80 ms pieces."""
        pieces = audio.reshape(len(audio), -1, 8, FRAME // 8)
        return pieces.square().mean(dim=3).sqrt() @ self.hears + 0.01 * pieces.mean(dim=(1, 2, 3))[:, None, None]

    def speech(self, features: Tensor) -> Tensor:
        """Embed."""
        return features @ self.embeds

    def style(self, style: Any, frames: int) -> Tensor:
        """Add up what is given."""
        import torch

        rows = torch.zeros(frames, 32)
        for given in (style.pose, style.gaze):
            if given is not None:
                rows[: len(given), : given.shape[1]] += given[:frames]
        return rows

    def clip(
        self,
        noise: Tensor,
        speech: Tensor,
        style: Tensor,
        context: Any,
        reference: Tensor,
        *,
        nfe: int,
        cfg_scale: Tensor,
    ) -> Tensor:
        """Smooth speech, noise and context over the clip."""
        import torch

        self.calls.append((len(noise), nfe))
        given = cfg_scale[:, None, None] * speech + style + 0.3 * noise + reference[:, None] / nfe
        rows = torch.cat([context.motion + 0.1 * context.condition, self._layer(given)], dim=1)
        smooth = torch.nn.functional.avg_pool1d(rows.transpose(1, 2), 9, 1, 4, count_include_pad=False).transpose(1, 2)
        return smooth[:, 10:]

    def encode_portrait(self, image: NDArray[np.uint8]) -> Any:
        """Remember the mean colour."""
        import torch

        mean = torch.from_numpy(image.reshape(-1, 3).mean(axis=0, dtype=np.float32)) / 255
        return SimpleNamespace(reference=mean.repeat(11)[None, :32], nbytes=128, tensors=(mean,))

    def render(self, identities: Sequence[Any], motion: Tensor) -> Tensor:
        """Draw each row's numbers as stripes, in the portrait's colour."""
        import torch

        assert len(identities) == len(motion)
        stripes = torch.sigmoid(motion).repeat_interleave(2, dim=1)[:, None, None].expand(-1, 3, 64, -1)
        colours = torch.stack([identity.tensors[0] for identity in identities])[:, :, None, None]
        return stripes * (0.5 + colours / 2)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """On tensors this small, several threads only wait for each other."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def puppet() -> Puppet:
    """The model of nothing."""
    pytest.importorskip("torch")
    return Puppet()


@pytest.fixture(scope="session")
def spoken() -> Samples:
    """Seven seconds of speech at 16 kHz."""
    with wave.open(str(FOLDER / "speech.wav")) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32_768
        places = np.arange(0, len(sound) - 1, file.getframerate() / 16_000)
    return np.interp(places, np.arange(len(sound)), sound).astype(np.float32)


@dataclass(frozen=True)
class Cutter:
    """Cuts sound into steps, as the worker does.

    Attributes:
        hop: frames.
        ahead: frames.
        context: samples.
    """

    hop: int
    ahead: int
    context: int = 150 * FRAME

    def steps(self, sound: Samples, state: Any, controls: dict[int, Controls] | None = None) -> list[MotionStep]:
        """Return the steps of a segment."""
        frames = -(-sound.size // FRAME)
        made = []
        for first in range(0, frames, self.hop):
            count = min(self.hop, frames - first)
            length = self.context + (count + self.ahead) * FRAME
            padded = np.concatenate([np.zeros(self.context, np.float32), sound, np.zeros(length, np.float32)])
            window = padded[first * FRAME : first * FRAME + length]
            remaining = min(sound.size - first * FRAME, length - self.context)
            made.append(MotionStep(state, window, count, first, remaining, (controls or {}).get(first)))
        return made

    def speak(self, motion: Callable[[list[MotionStep]], list[Motion]], sound: Samples, state: Any) -> Motion:
        """Return all rows of a segment."""
        return np.concatenate([motion([step])[0] for step in self.steps(sound, state)])


@pytest.fixture(scope="session")
def cutter() -> type[Cutter]:
    """What cuts sound into steps."""
    return Cutter


def idle(state: Any, *, cut: bool = False, controls: Controls | None = None) -> MotionStep:
    """Return the step of a frame without sound."""
    return MotionStep(state, np.empty(0, np.float32), 1, 0, 0, controls, idle=True, cut=cut)


@pytest.fixture(scope="session")
def silent() -> Callable[..., MotionStep]:
    """What makes steps without sound."""
    return idle


@pytest.fixture
def engine(puppet: Puppet) -> Callable[..., Any]:
    """Return what makes the real engine around the model of nothing."""
    from avatar_service.engine.imtalker.engine import ImtalkerEngine
    from avatar_service.engine.imtalker.tuning import Tuning

    def make(adapters: dict[str, Any] | None = None, **tuning: Any) -> Any:
        return ImtalkerEngine(puppet, Tuning(**tuning), adapters or {})  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def square() -> NDArray[np.uint8]:
    """A portrait that fills the picture."""
    ramp = np.add.outer(np.arange(96), np.arange(96)).astype(np.uint8)
    return np.stack([ramp, 255 - ramp, ramp // 2], axis=2)
