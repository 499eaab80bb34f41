"""The corpus, the fitting and the figures, on small material."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avatar_service.engine.portrait.hearing import HEARD
from avatar_service.engine.portrait.net import read_net
from training import augmentation
from training.corpus import FRAMES, OUTPUTS, Corpus, heard_of, training_corpus
from training.evaluation import figures
from training.synthesis import TRAINING_VOICES


@pytest.fixture(scope="module")
def corpus(espeak_installed: None) -> Corpus:  # noqa: ARG001 - it is needed to speak
    """A few streams of espeak's voices."""
    voices = [voice for voice in TRAINING_VOICES if voice.name in {"en-us", "de", "en-us+f1"}]
    flite = [voice for voice in TRAINING_VOICES if voice.name == "kal16"]
    return training_corpus([*voices, *flite], streams=8, takes=1, seed=0)


@pytest.mark.usefixtures("flite_installed")
def test_a_corpus_is_streams_of_what_is_heard_and_wanted(corpus: Corpus) -> None:
    """Of one length, finite, with speech and pauses in it."""
    assert corpus.heard.shape[1:] == (FRAMES, HEARD)
    assert corpus.wanted.shape == (*corpus.heard.shape[:2], OUTPUTS)
    assert np.isfinite(corpus.heard).all()
    assert ((corpus.wanted >= 0) & (corpus.wanted <= 1)).all()
    speaking = corpus.wanted[..., -1].mean()
    assert 0.2 < speaking < 0.95
    assert (corpus.wanted[..., 3] > 0.9).any(), "there are closures"


@pytest.mark.parametrize("make", [augmentation.noise, augmentation.hum, augmentation.tones, augmentation.music])
def test_what_no_mouth_makes_is_sound_all_the_same(make: object) -> None:
    """Noise, hum, beeps and music keep their level and are heard as finite numbers, whatever the dice say."""
    for seed in range(8):
        sound = make(32_000, np.random.default_rng(seed))  # type: ignore[operator]
        assert sound.shape == (32_000,)
        assert np.sqrt(np.mean(np.square(sound))) < 2
        assert np.isfinite(heard_of(sound)).all()


def test_figures_are_one_for_the_truth_and_nothing_for_another_truth() -> None:
    """The measure can fail: shuffled streams agree with nothing."""
    wanted = np.random.default_rng(0).uniform(0, 1, (6, 50, OUTPUTS)).astype(np.float32)
    right = figures(wanted[:, :-2], wanted)
    assert right["open_r"] == right["width_r"] == right["closure_f1"] == 1.0
    wrong = figures(wanted[::-1, :-2], wanted)
    assert abs(wrong["open_r"]) < 0.3
    assert wrong["closure_f1"] < 0.8


@pytest.mark.usefixtures("flite_installed")
def test_fitting_lowers_the_loss_and_the_service_reads_the_weights(corpus: Corpus, tmp_path: Path) -> None:
    """What torch trains is what numpy computes, within half precision."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from training.fit import fit
    from training.network import SpeechNet, save

    heard, wanted = (np.tile(part, (4, 1, 1)) for part in (corpus.heard, corpus.wanted))
    torch.manual_seed(0)
    net = SpeechNet()
    losses = [epoch.loss for epoch in fit(net, Corpus(heard, wanted), 4, 0)]
    assert losses[-1] < 0.8 * losses[0]
    save(net, tmp_path / "speech.npz")
    with np.load(tmp_path / "speech.npz") as arrays:
        read = read_net(dict(arrays))
    with torch.no_grad():
        outputs = net(torch.from_numpy(corpus.heard[:1, :40]))
    memories, faces = read.silence(), []
    for block in corpus.heard[0, :40]:
        memories = read.remember(memories, block)
        faces.append(read.face(memories, read.read_outs[0]))
    np.testing.assert_allclose(faces[2:], outputs[0][0].numpy(), atol=0.02)
