"""Owns the change of speech to 16 kHz, whatever pieces it comes in."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Final

import av
from av.filter import Graph

from avatar_service import media
from avatar_service.pcm import PCM_BYTES, Pcm

_S16: Final = av.AudioFormat("s16")
_MONO: Final = av.AudioLayout("mono")


def resampling_lag(rate_hz: int) -> int:
    """Return the 16 kHz samples that resampling may hold back: half of its filter, and one for rounding.

    FFmpeg's filter spans 32 samples of the lower of the two rates (``filter_size``).
    """
    if rate_hz == media.SAMPLE_RATE_HZ:
        return 0
    return -(-16 * media.SAMPLE_RATE_HZ // min(rate_hz, media.SAMPLE_RATE_HZ)) + 1


class Resampler:
    """FFmpeg's resampler, which streams: a fresh one for each message would be wrong at every edge.

    Its filter graph is spoken to directly: ``av.AudioResampler`` asks the graph again after each answer, and the
    exception that says "no more" costs as much as the rest.

    Args:
        rate_hz: of what comes.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._graph = None if rate_hz == media.SAMPLE_RATE_HZ else _graph(rate_hz)
        self._samples_in = 0
        self._samples_out = 0

    def push(self, pcm: Pcm) -> Pcm:
        """Return the 16 kHz samples that these, at the rate they come in, complete."""
        if self._graph is None or not pcm:
            return pcm
        samples = len(pcm) // PCM_BYTES
        self._samples_in += samples
        frame = av.AudioFrame(format=_S16, layout=_MONO, samples=samples)
        frame.planes[0].update(pcm)  # in a third of what ``from_ndarray`` takes
        frame.sample_rate = self._rate_hz
        self._graph.push(frame)
        resampled = _pulled(self._graph)
        self._samples_out += len(resampled) // PCM_BYTES
        return resampled

    def flush(self) -> Pcm:
        """Return the last samples; in all there are ``ceil(samples in * 16000 / rate)``."""
        if self._graph is None or not self._samples_in:
            return b""
        self._graph.push(None)
        missing = PCM_BYTES * (media.resampled_length(self._samples_in, self._rate_hz) - self._samples_out)
        tail = b""
        with suppress(EOFError):
            while True:
                tail += _pulled(self._graph)
        return tail[:missing].ljust(missing, b"\0")


def _graph(rate_hz: int) -> Graph:
    graph = Graph()
    source = {"sample_rate": str(rate_hz), "sample_fmt": "s16", "channel_layout": "mono", "time_base": f"1/{rate_hz}"}
    nodes = [
        graph.add("abuffer", **source),
        graph.add("aresample", str(media.SAMPLE_RATE_HZ)),
        graph.add("aformat", "sample_fmts=s16:channel_layouts=mono"),
        graph.add("abuffersink"),
    ]
    for node, following in pairwise(nodes):
        node.link_to(following)
    graph.configure()
    return graph


def _pulled(graph: Graph) -> Pcm:
    """Return the samples of the next frame, if there is one: each that goes in gives one at the most.

    Raises:
        EOFError: if the graph was flushed and is empty.
    """
    try:
        frame = graph.pull()
    except BlockingIOError:
        return b""
    assert isinstance(frame, av.AudioFrame)
    return bytes(frame.planes[0])[: frame.samples * PCM_BYTES]
