"""Owns what an operator may choose of the engine, as words on the command line. Imports no torch, opens no file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from avatar_service.engine.imtalker.tuning import Tuning
from avatar_service.errors import SetupError

_FRAME_MS: Final = 40
_LONGEST_LOOK_AHEAD_MS: Final = 1000
_LONGEST_HOP_MS: Final = 1600
DTYPES: Final = ("auto", "float32", "float16", "bfloat16")
PARTS: Final = ("portrait", "motion", "transfer", "synthesis", "speech", "flow")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Options:
    """Engine options, each a word; ``docs/imtalker.md`` explains them."""

    checkpoint: str = "checkpoints"
    device: str = "auto"
    dtype: str = "auto"
    dtypes: str = ""
    adapters: str = ""
    threads: str = "0"
    look_ahead_ms: str = "200"
    hop_ms: str = "1000"
    motion_scale: str = "1.0"
    gate: str = "on"
    max_batch: str = "0"
    graphs: str = "off"

    @property
    def folder(self) -> Path:
        """Where the weights are: a folder, or one safetensors file."""
        return Path(self.checkpoint).expanduser()

    @property
    def captured(self) -> bool:
        """Whether a GPU's work is captured once for each batch size, and replayed."""
        return self._read("graphs", {"on": True, "off": False}.__getitem__, "on or off")

    @property
    def thread_count(self) -> int:
        """Threads of a CPU; 0 for all cores."""
        return int(self._read("threads", _within(int, 0, 1024), "a number from 0 to 1024"))

    @property
    def adapter_files(self) -> dict[str, Path]:
        """Adapters' files by name: of ``name=file,name=file``, or of all ``.safetensors`` files in a folder."""
        if not self.adapters:
            return {}
        if "=" not in self.adapters:
            return {file.stem: file for file in sorted(Path(self.adapters).expanduser().glob("*.safetensors"))}
        pairs = [pair.partition("=") for pair in self.adapters.split(",")]
        if not all(name and file for name, _, file in pairs):
            self._refuse("adapters", "a folder, or NAME=FILE,NAME=FILE")
        return {name: Path(file).expanduser() for name, _, file in pairs}

    @property
    def part_dtypes(self) -> dict[str, str]:
        """Names of number formats by part: of ``dtypes=synthesis=float16,flow=float32``."""
        pairs = [pair.partition("=") for pair in self.dtypes.split(",")] if self.dtypes else []
        if not all(part in PARTS and dtype in DTYPES[1:] for part, _, dtype in pairs):
            self._refuse("dtypes", f"PART=DTYPE,..., parts {', '.join(PARTS)}, dtypes {', '.join(DTYPES[1:])}")
        return {part: dtype for part, _, dtype in pairs}

    @property
    def main_dtype(self) -> str:
        """Name of the number format of most of the work."""
        if self.dtype not in DTYPES:
            self._refuse("dtype", f"one of {', '.join(DTYPES)}")
        return self.dtype

    def tuning(self) -> Tuning:
        """Return what bears on the stream.

        Raises:
            SetupError: naming the option that is wrong.
        """
        look_ahead = self._read("look_ahead_ms", _within(float, 0, _LONGEST_LOOK_AHEAD_MS), "0 to 1000 ms")
        hop = self._read("hop_ms", _within(float, _FRAME_MS, _LONGEST_HOP_MS), "40 to 1600 ms")
        return Tuning(
            look_ahead_frames=-(-round(look_ahead) // _FRAME_MS),
            hop_frames=round(hop / _FRAME_MS),
            motion_scale=self._read("motion_scale", _within(float, 0, 2), "a number from 0 to 2"),
            gated=self._read("gate", {"on": True, "off": False}.__getitem__, "on or off"),
            max_batch=self._read("max_batch", _within(int, 0, 256), "a number from 0 to 256"),
            captured=self.captured,
        )

    def _read(self, name: str, read: Callable[[str], _T], expected: str) -> _T:
        try:
            return read(getattr(self, name))
        except (ValueError, KeyError):
            return self._refuse(name, expected)

    def _refuse(self, name: str, expected: str) -> NoReturn:
        message = f"the engine option {name}={getattr(self, name)} must be {expected}"
        raise SetupError(message)


def _within(number: Callable[[str], float], low: float, high: float) -> Callable[[str], Any]:
    def read(word: str) -> float:
        value = number(word)
        if not low <= value <= high:
            raise ValueError
        return value

    return read
