"""Third-party files: pinned, checked, and fetched by one command."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from avatar_service.assets import ASSETS, FOLDER, Asset, asset_path, is_intact
from avatar_service.assets.__main__ import _unpack, fetch

CONTENT = b"a model"
ASSET = Asset("a.tflite", "thing==1", "thing/a.tflite", hashlib.sha256(CONTENT).hexdigest(), "Apache-2.0")


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel with one file in it."""
    path = tmp_path / "thing-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(ASSET.member, CONTENT)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where assets are to lie."""
    folder = tmp_path / "assets"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("asset", ASSETS, ids=lambda asset: asset.name)
def test_every_asset_is_here_with_its_pinned_hash(asset: Asset) -> None:
    """The installed files are those that were chosen."""
    assert is_intact(asset)
    assert asset_path(asset.name) == FOLDER / asset.name
    assert asset.licence


def test_names_and_pins_are_unique_and_exact() -> None:
    """Each file once, each out of one exact version."""
    assert len({asset.name for asset in ASSETS}) == len(ASSETS)
    assert all("==" in asset.requirement and len(asset.sha256) == 64 for asset in ASSETS)


def test_the_pinned_file_is_taken_out_of_its_wheel(wheel: Path, folder: Path) -> None:
    """What the hash names is installed, and nothing else lies about."""
    _unpack(wheel, [ASSET], folder)
    assert is_intact(ASSET, folder)
    assert [path.name for path in folder.iterdir()] == [ASSET.name]


def test_another_file_of_that_name_is_refused(wheel: Path, folder: Path) -> None:
    """A hash that differs installs nothing, and says which file it was."""
    changed = replace(ASSET, sha256="0" * 64)
    with pytest.raises(SystemExit, match=r"thing/a.tflite of thing-1-py3-none-any.whl has not the pinned SHA-256"):
        _unpack(wheel, [changed], folder)
    assert list(folder.iterdir()) == []


def test_absent_and_damaged_files_are_not_intact(folder: Path) -> None:
    """Neither nothing nor something else passes."""
    assert not is_intact(ASSET, folder)
    (folder / ASSET.name).write_bytes(CONTENT + b"!")
    assert not is_intact(ASSET, folder)


def test_nothing_is_fetched_that_is_here(folder: Path) -> None:
    """With every file in its place the fetcher does nothing, and needs no network."""
    for asset in ASSETS:
        (folder / asset.name).write_bytes(asset_path(asset.name).read_bytes())
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert fetch(folder) == ()
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_missing_file_names_the_command_that_brings_it(tmp_path: Path) -> None:
    """A broken installation says how to mend it: here a copy of the package without its files."""
    package = tmp_path / "lonely_assets"
    package.mkdir()
    shutil.copy(FOLDER / "__init__.py", package)
    code = "import lonely_assets; lonely_assets.asset_path('iris.tflite')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "iris.tflite is missing or damaged; run: python -m avatar_service.assets" in done.stderr


def test_unknown_names_are_mistakes() -> None:
    """Only what is pinned has a place."""
    with pytest.raises(KeyError):
        asset_path("nothing.tflite")
