"""Owns the third-party files the product needs: which they are, where they lie, and their hashes.

They are never committed. ``python -m avatar_service.assets`` fetches them (installing the package does it too), and
built wheels contain them. Only the standard library is used here, because a build runs this before anything is
installed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from avatar_service.errors import SetupError

FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Asset:
    """One file out of one wheel on the package index.

    Attributes:
        name: file name in this folder.
        requirement: the wheel, pinned.
        member: the file inside the wheel.
        sha256: of the member's bytes.
        licence: of the file, named for the user.
    """

    name: str
    requirement: str
    member: str
    sha256: str
    licence: str


_MEDIAPIPE: Final = "mediapipe==0.10.21"
_SCIKIT_IMAGE: Final = "scikit-image==0.26.0"

ASSETS: Final = (
    Asset(
        "face_detection.tflite",
        _MEDIAPIPE,
        "mediapipe/modules/face_detection/face_detection_short_range.tflite",
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        "Apache-2.0 (MediaPipe)",
    ),
    Asset(
        "face_mesh.tflite",
        _MEDIAPIPE,
        "mediapipe/modules/face_landmark/face_landmark.tflite",
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
        "Apache-2.0 (MediaPipe)",
    ),
    Asset(
        "iris.tflite",
        _MEDIAPIPE,
        "mediapipe/modules/iris_landmark/iris_landmark.tflite",
        "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
        "Apache-2.0 (MediaPipe)",
    ),
    Asset(
        "astronaut.png",
        _SCIKIT_IMAGE,
        "skimage/data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        "public domain (NASA)",
    ),
)


class AssetMissingError(SetupError):
    """An installed file is absent or damaged; the text names the command that mends it."""


def is_intact(asset: Asset, folder: Path = FOLDER) -> bool:
    """Say whether the asset lies in ``folder`` with the pinned hash."""
    path = folder / asset.name
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == asset.sha256


def asset_path(name: str) -> Path:
    """Return where the asset ``name`` lies, after checking its hash.

    Raises:
        AssetMissingError: if it is absent or its hash differs.
        KeyError: if there is no asset of that name.
    """
    asset = {known.name: known for known in ASSETS}[name]
    if not is_intact(asset):
        msg = f"{name} is missing or damaged; run: python -m avatar_service.assets"
        raise AssetMissingError(msg)
    return FOLDER / name
