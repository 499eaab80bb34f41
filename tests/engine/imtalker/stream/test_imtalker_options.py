"""Engine options as words."""

from __future__ import annotations

from pathlib import Path

import pytest

from avatar_service.engine.imtalker.options import Options
from avatar_service.engine.imtalker.tuning import Tuning
from avatar_service.errors import SetupError


def test_no_option_needs_to_be_given() -> None:
    """The weights are sought in ./checkpoints, and everything else is chosen."""
    options = Options()
    assert options.folder == Path("checkpoints")
    assert options.tuning() == Tuning()
    assert (options.thread_count, options.adapter_files, options.part_dtypes) == (0, {}, {})
    assert options.main_dtype == "auto"
    assert not options.captured


def test_options_say_what_they_mean() -> None:
    """Milliseconds become whole frames, the look-ahead rounded up."""
    options = Options(look_ahead_ms="100", hop_ms="200", motion_scale="0.6", gate="off", max_batch="8")
    assert options.tuning() == Tuning(3, 5, 0.6, gated=False, max_batch=8)
    assert Options(dtypes="flow=float32,synthesis=bfloat16").part_dtypes == {"flow": "float32", "synthesis": "bfloat16"}


def test_adapters_are_named_one_by_one_or_by_their_folder(tmp_path: Path) -> None:
    """The name of a file in a folder is its own."""
    assert Options(adapters="anna=/a.safetensors,ben=/b").adapter_files == {
        "anna": Path("/a.safetensors"),
        "ben": Path("/b"),
    }
    for name in ("ben.safetensors", "anna.safetensors", "notes.txt"):
        (tmp_path / name).touch()
    assert Options(adapters=str(tmp_path)).adapter_files == {
        name: tmp_path / f"{name}.safetensors" for name in ("anna", "ben")
    }


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("look_ahead_ms", "-1"),
        ("look_ahead_ms", "2000"),
        ("hop_ms", "10"),
        ("motion_scale", "nan"),
        ("motion_scale", "much"),
        ("gate", "yes"),
        ("max_batch", "1.5"),
    ],
)
def test_a_wrong_word_is_named(name: str, word: str) -> None:
    """With what it must be."""
    with pytest.raises(SetupError, match=f"the engine option {name}={word} must be "):
        Options(**{name: word}).tuning()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ({"dtype": "float8"}, "main_dtype"),
        ({"dtypes": "lips=float16"}, "part_dtypes"),
        ({"dtypes": "flow"}, "part_dtypes"),
        ({"adapters": "anna=a,ben"}, "adapter_files"),
        ({"threads": "many"}, "thread_count"),
        ({"graphs": "maybe"}, "captured"),
    ],
)
def test_every_option_is_checked(words: dict[str, str], part: str) -> None:
    """Each when it is read."""
    [(name, word)] = words.items()
    with pytest.raises(SetupError, match=f"the engine option {name}={word} must be "):
        getattr(Options(**words), part)


def test_there_are_no_other_options() -> None:
    """A misspelt one is told."""
    with pytest.raises(TypeError, match="chekpoint"):
        Options(chekpoint="x")  # type: ignore[call-arg]
