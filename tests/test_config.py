"""The settings of a server."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from avatar_service.config import Settings


def test_settings_do_not_change() -> None:
    """A running server's bounds are those it started with."""
    with pytest.raises(FrozenInstanceError):
        Settings().capacity = 9  # type: ignore[misc]


def test_every_setting_is_explained() -> None:
    """An operator finds each one in the record's own documentation."""
    text = Settings.__doc__ or ""
    assert [field.name for field in fields(Settings) if f"{field.name}:" not in text] == []


def test_defaults_are_the_documented_promises() -> None:
    """10 s to say init, 30 s of silence, 30 s for a reader, 10 s of audio ahead."""
    settings = Settings()
    bounds = (settings.init_timeout_s, settings.idle_timeout_s, settings.slow_reader_timeout_s)
    assert bounds == (10.0, 30.0, 30.0)
    assert settings.max_buffered_audio_s == 10.0
