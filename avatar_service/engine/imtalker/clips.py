"""Owns the generating of clips for many sessions at once: one call of each network for all that can share it.

What can share a call: windows of one length for the audio encoder; for the generator, sessions with the same number of
function evaluations and the same adapter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from avatar_service.engine.imtalker.adapter import Adapter, adapted
from avatar_service.engine.imtalker.memory import Rows
from avatar_service.engine.imtalker.model import Context, Model, Style
from avatar_service.engine.imtalker.noise import WIDTH
from avatar_service.engine.imtalker.sound import FRAME
from avatar_service.engine.imtalker.stream import CLIP, Draft

_T = TypeVar("_T")
_K = TypeVar("_K", bound=Hashable)


class Clips:
    """Makes clips.

    Args:
        model: with whose networks.
        adapters: by name.
    """

    def __init__(self, model: Model, adapters: Mapping[str, Adapter]) -> None:
        self._model = model
        self._adapters = adapters
        self._silence: Rows | None = None

    def made(self, drafts: Sequence[Draft]) -> list[tuple[Rows, Rows]]:
        """Return clip and condition, ``[CLIP, 32]`` each, of drafts that need a clip, in order."""
        speech = self._speech(drafts)
        style = [self._style(draft) for draft in drafts]
        found: dict[int, Rows] = {}
        for (nfe, adapter), places in _grouped(range(len(drafts)), lambda i: _sharing(drafts[i])).items():
            group = [drafts[i] for i in places]
            with adapted(self._model.generator.flow, self._adapters.get(adapter)):
                clips = self._model.clip(
                    self._stacked(draft.noise() for draft in group),
                    self._stacked(speech[i] for i in places),
                    self._stacked(style[i] for i in places),
                    self._context(group),
                    self._stacked(draft.terms.reference for draft in group),
                    nfe=nfe,
                    cfg_scale=torch.tensor([draft.terms.cfg_scale for draft in group], device=self._model.device),
                )
            found.update(zip(places, _rows(clips), strict=True))
        return [(found[i], speech[i] + style[i]) for i in range(len(drafts))]

    def silence(self) -> Rows:
        """Return embedded silence, ``[CLIP, 32]``: what is heard while idling."""
        if self._silence is None:
            features = self._model.features_normalised(torch.zeros(1, CLIP * FRAME, device=self._model.device))
            self._silence = _rows(self._model.speech(features))[0]
        return self._silence

    def _speech(self, drafts: Sequence[Draft]) -> list[Rows]:
        """Return the embedded speech of each clip."""
        found: dict[int, Rows] = {}
        speaking = [i for i, draft in enumerate(drafts) if draft.window is not None]
        for places in _grouped(speaking, lambda i: _samples(drafts[i]).size).values():
            heard = self._model.features_normalised(self._stacked(_samples(drafts[i]) for i in places))
            for i, rows in zip(places, _rows(self._model.speech(heard)), strict=True):
                found[i] = drafts[i].clip_of(rows)
        return [found[i] if i in found else self.silence() for i in range(len(drafts))]

    def _style(self, draft: Draft) -> Rows:
        if draft.pose is None and draft.gaze is None:
            return np.zeros((CLIP, WIDTH), np.float32)
        return _rows(self._model.style(Style(self._tensor(draft.pose), self._tensor(draft.gaze)), CLIP))

    def _context(self, drafts: Sequence[Draft]) -> Context:
        motion = self._stacked(draft.memory.motion for draft in drafts)
        return Context(motion, self._stacked(draft.memory.condition for draft in drafts))

    def _stacked(self, rows: Iterable[Rows]) -> Tensor:
        return torch.from_numpy(np.stack([*rows])).to(self._model.device, non_blocking=True)

    def _tensor(self, rows: Rows | None) -> Tensor | None:
        return None if rows is None else torch.from_numpy(rows).to(self._model.device)


def _samples(draft: Draft) -> Rows:
    assert draft.window is not None, "only speaking sessions are heard"
    return draft.window.samples


def _sharing(draft: Draft) -> tuple[int, str]:
    return draft.terms.nfe, draft.terms.adapter


def _rows(tensor: Tensor) -> Rows:
    return tensor.float().cpu().numpy()


def _grouped(things: Iterable[_T], key: Callable[[_T], _K]) -> dict[_K, list[_T]]:
    groups: defaultdict[_K, list[_T]] = defaultdict(list)
    for thing in things:
        groups[key(thing)].append(thing)
    return groups
