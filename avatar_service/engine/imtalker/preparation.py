"""Owns the way from a portrait to an avatar: which face, which square, what the caller should be told."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from avatar_service.engine.base import Notice, Portrait, PrepareOptions
from avatar_service.engine.imtalker.avatar import ImtalkerAvatar
from avatar_service.engine.imtalker.crop import reference_box
from avatar_service.engine.imtalker.model import Model
from avatar_service.engine.portrait import preparation
from avatar_service.engine.portrait.crop import Stitch, cuts_off, middle_box, shrunk, stitch
from avatar_service.engine.portrait.landmarks import FaceFinder


class Preparation:
    """Makes avatars; owns the landmark networks, which it loads when they are first needed.

    Args:
        model: whose portraits they are.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    @cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder()

    def prepare(self, portrait: Portrait, options: PrepareOptions) -> ImtalkerAvatar:
        """Make an avatar of a portrait.

        Raises:
            InvalidArgumentError: ``BAD_PICTURE``, ``NO_FACE`` or ``SMALL_FACE``, as the portrait engine's.
            ArithmeticError: if the networks make no numbers of it.
        """
        preparation.check_picture(portrait)
        if not options.crop:
            box = middle_box(portrait.shape[1], portrait.shape[0])
            return self._avatar(portrait[box.rows, box.columns], None, ())
        faces = preparation.found_faces(self._finder, portrait)
        picture = shrunk(portrait) if options.paste_back else portrait
        face = faces[0].moved((0, 0), picture.shape[1] / portrait.shape[1])
        height, width = picture.shape[:2]
        box = reference_box(face, width, height, options.crop_scale)
        said = (
            (len(faces) > 1, preparation.SEVERAL),
            (faces[0].extent < preparation.SMALL_FACE, preparation.ENLARGED),
            (cuts_off(box, face), preparation.CUT_OFF),
        )
        notices = tuple(notice for holds, notice in said if holds)
        square = picture[box.rows, box.columns]
        return self._avatar(square, stitch(picture, box) if options.paste_back else None, notices)

    def _avatar(self, square: Portrait, pasted: Stitch | None, notices: tuple[Notice, ...]) -> ImtalkerAvatar:
        identity = self._model.encode_portrait(np.ascontiguousarray(square))
        reference = identity.reference[0].float().cpu().numpy()
        if not all(bool(tensor.isfinite().all()) for tensor in identity.tensors):
            message = "a portrait became numbers that are none; the precision of its encoders may be too low"
            raise ArithmeticError(message)
        return ImtalkerAvatar(identity, reference, self._model.side, pasted, notices)
