"""The one fetcher: downloads the pinned wheels from the package index and takes the pinned files out of them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from avatar_service.assets import ASSETS, FOLDER, Asset, is_intact

_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_24_x86_64")
_TIMEOUT_S = 600


def fetch(folder: Path = FOLDER) -> tuple[Asset, ...]:
    """Bring every asset that ``folder`` lacks; return those that were brought.

    Raises:
        SystemExit: with a text for a person if a download fails or a file has not the pinned hash.
    """
    missing = tuple(asset for asset in ASSETS if not is_intact(asset, folder))
    for requirement in sorted({asset.requirement for asset in missing}):
        wanted = [asset for asset in missing if asset.requirement == requirement]
        with tempfile.TemporaryDirectory() as scratch:
            _unpack(_download(requirement, Path(scratch)), wanted, folder)
    return missing


def _download(requirement: str, scratch: Path) -> Path:
    """Fetch one wheel whatever this machine's Python and platform are: only its data files are wanted."""
    platforms = [word for tag in _PLATFORMS for word in ("--platform", tag)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", *platforms, "--python-version", "3.11", "--dest", str(scratch), requirement]
    try:
        subprocess.run(command, check=True, timeout=_TIMEOUT_S)
    except (subprocess.SubprocessError, OSError) as error:
        sys.exit(f"could not download {requirement} from the package index: {error}")
    return next(scratch.glob("*.whl"))


def _unpack(wheel: Path, wanted: Sequence[Asset], folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for asset in wanted:
            content = archive.read(asset.member)
            if hashlib.sha256(content).hexdigest() != asset.sha256:
                sys.exit(f"{asset.member} of {wheel.name} has not the pinned SHA-256; nothing was installed")
            partial = folder / f".{asset.name}.partial"
            partial.write_bytes(content)
            partial.replace(folder / asset.name)


if __name__ == "__main__":
    brought = fetch()
    for asset in ASSETS:
        sys.stdout.write(f"{asset.name}: {'fetched' if asset in brought else 'present'}, {asset.licence}\n")
