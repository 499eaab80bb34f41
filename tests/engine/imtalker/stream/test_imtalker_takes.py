"""Training data in the public layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from avatar_service.engine.imtalker.takes import read_takes
from avatar_service.errors import SetupError


def lay(folder: Path, name: str = "one", frames: int = 70, **changed: Any) -> None:
    """Write one take."""
    parts: dict[str, Any] = {
        "motion": torch.ones(frames, 32),
        "audio": np.ones((frames, 768), np.float32),
        "smirk": {"pose_params": torch.zeros(frames + 2, 3), "cam": torch.ones(frames + 2, 3), "shape": torch.ones(1)},
        "gaze": np.ones((frames - 1, 2)),
        **changed,
    }
    for kind, content in parts.items():
        (folder / kind).mkdir(exist_ok=True)
        if content is None:
            continue
        path = folder / kind / (name + (".pt" if kind in {"motion", "smirk"} else ".npy"))
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif kind in {"motion", "smirk"}:
            torch.save(content, path)
        else:
            np.save(path, content)


def test_a_take_is_as_long_as_its_shortest_part(tmp_path: Path) -> None:
    """Trackers lose frames; everything is float32."""
    lay(tmp_path)
    [take] = read_takes(tmp_path, 60)
    parts = (take.motion, take.features, take.pose, take.cam, take.gaze)
    assert take.name == "one"
    assert [tuple(part.shape) for part in parts if part is not None] == [(69, n) for n in (32, 768, 3, 3, 2)]
    assert {part.dtype for part in parts if part is not None} == {torch.float32}


def test_pose_and_gaze_may_be_unknown(tmp_path: Path) -> None:
    """Then they are left to the model."""
    lay(tmp_path, smirk=None, gaze=None)
    [take] = read_takes(tmp_path, 60)
    assert (take.pose, take.cam, take.gaze) == (None, None, None)


def test_takes_too_short_to_learn_from_are_left_out(tmp_path: Path) -> None:
    """Unless that leaves nothing."""
    lay(tmp_path, "long", 70)
    lay(tmp_path, "short", 50)
    assert [take.name for take in read_takes(tmp_path, 60)] == ["long"]
    with pytest.raises(SetupError, match="the 80 frames that a training example needs"):
        read_takes(tmp_path, 80)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"motion": torch.ones(70, 31)}, r"motion/one\.pt is \[70, 31\]; it must be \[frames, 32\]"),
        ({"motion": {"a": 1}}, r"motion/one\.pt is dict"),
        ({"motion": torch.full((70, 32), torch.nan)}, r"motion/one\.pt has numbers that are none"),
        ({"motion": b"no tensor"}, r"motion/one\.pt cannot be read"),
        ({"motion": b""}, r"motion/one\.pt cannot be read"),
        ({"audio": None}, r"audio/one\.npy cannot be read"),
        ({"audio": b"\x93NUMPY"}, r"audio/one\.npy cannot be read"),
        ({"audio": np.array([{}])}, r"audio/one\.npy cannot be read"),
        ({"audio": np.ones((70, 512))}, r"audio/one\.npy is \[70, 512\]"),
        ({"smirk": {"cam": torch.ones(70, 3)}}, r"smirk/one\.pt holds no pose_params and cam"),
        ({"gaze": np.ones(70)}, r"gaze/one\.npy is \[70\]"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    """With what it must be."""
    lay(tmp_path, **changed)
    with pytest.raises(SetupError, match=said):
        read_takes(tmp_path, 60)


class Hostile:
    """Runs when it is unpickled, if that is let."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("/tmp/must-not-exist"),))  # noqa: S108 - it must not come to be


def test_a_file_cannot_run_anything(tmp_path: Path) -> None:
    """Training data come from elsewhere."""
    lay(tmp_path, motion=Hostile())
    with pytest.raises(SetupError, match="cannot be read"):
        read_takes(tmp_path, 60)
    assert not Path("/tmp/must-not-exist").exists()  # noqa: S108


def test_an_empty_folder_says_where_to_read_on(tmp_path: Path) -> None:
    """In the docs."""
    with pytest.raises(SetupError, match=r"docs/imtalker\.md"):
        read_takes(tmp_path, 60)
