"""Owns `demo`: the sample photograph speaks the sample utterance. Never needs anything that is not installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import av
import click
from PIL import Image, ImageDraw

from avatar_service.assets import FOLDER, AssetMissingError, asset_path
from avatar_service.commands import animate

if TYPE_CHECKING:
    from pathlib import Path

_COLUMNS: Final = 5
_ROWS: Final = 3
_CELL_PX: Final = 256
_LABEL_PX: Final = 18


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo made.

    Attributes:
        movie: the MP4.
        contact_sheet: a PNG with frames of it, evenly spread.
        summary: frames and speed.
    """

    movie: Path
    contact_sheet: Path
    summary: animate.Summary


def run(folder: Path, engine: str = "") -> Demo:
    """Write ``demo.mp4`` and ``contact-sheet.png`` into ``folder``, made if it is missing.

    Raises:
        click.ClickException: with one line for the user, whatever went wrong.
    """
    movie = folder / "demo.mp4"
    sheet = folder / "contact-sheet.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        portrait = asset_path("astronaut.png")
    except (OSError, AssetMissingError) as error:
        raise click.ClickException(str(error)) from None
    summary = animate.run(animate.Order(portrait, FOLDER / "speech.wav", movie, engine=engine))
    try:
        contact_sheet(movie).save(sheet)
    except OSError as error:
        raise click.ClickException(str(error)) from None
    return Demo(movie, sheet, summary)


def contact_sheet(movie: Path) -> Image.Image:
    """Return a grid of 15 frames of ``movie``, evenly spread over its length, each with its time below it.

    Raises:
        OSError: if the file cannot be read.
    """
    sheet = Image.new("RGB", (_COLUMNS * _CELL_PX, _ROWS * (_CELL_PX + _LABEL_PX)), "white")
    draw = ImageDraw.Draw(sheet)
    with av.open(str(movie.resolve())) as container:
        total = container.streams.video[0].frames
        cells = _COLUMNS * _ROWS
        wanted = {round(cell * (total - 1) / (cells - 1)): cell for cell in range(min(cells, total))}
        for index, frame in enumerate(container.decode(video=0)):
            if index not in wanted:
                continue
            row, column = divmod(wanted[index], _COLUMNS)
            left, top = column * _CELL_PX, row * (_CELL_PX + _LABEL_PX)
            picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
            picture.thumbnail((_CELL_PX, _CELL_PX))
            sheet.paste(picture, (left + (_CELL_PX - picture.width) // 2, top))
            draw.text((left + 4, top + _CELL_PX + 2), f"{frame.time:.2f} s", fill="black")
    return sheet
