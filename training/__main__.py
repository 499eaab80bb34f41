"""Owns the one command: make the corpus, fit the net, judge it, write the weights and the model card."""

from __future__ import annotations

import argparse
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import torch

from avatar_service.engine.portrait.net import Net, read_net
from training.card import card
from training.corpus import Corpus, held_out_corpus, training_corpus
from training.evaluation import figures, said_of
from training.fit import fit
from training.network import SpeechNet, save
from training.synthesis import HELD_OUT_VOICES, TRAINING_VOICES

PORTRAIT: Final = Path(__file__).parents[1] / "avatar_service" / "engine" / "portrait"
WEIGHTS: Final = PORTRAIT / "speech.npz"
CARD: Final = Path(__file__).parents[1] / "docs" / "speech-model.md"
SHARES: Final = 2
"""The corpus is made by so many processes, each with a seed of its own; not the machine's choice, so that the corpus
is the same everywhere."""
STREAMS, TAKES, EPOCHS = 400, 3, 30
HELD_OUT_STREAMS: Final = 56
HELD_OUT_SEED: Final = 777


def main() -> None:
    """Run as ``python -m training``."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--streams", type=int, default=STREAMS, help="speech of 8 s, of each of two processes")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--card", type=Path, default=CARD)
    options = parser.parse_args()
    began = time.monotonic()
    corpus = _corpus(options.streams, options.seed)
    _say(f"{len(corpus.heard)} streams in {time.monotonic() - began:.0f} s")
    torch.manual_seed(options.seed)
    net = SpeechNet()
    for epoch in fit(net, corpus, options.epochs, options.seed):
        _say(f"epoch {epoch.number}: loss {epoch.loss:.4f}, {time.monotonic() - began:.0f} s")
    save(net, options.weights)
    judged = _judged(options.weights)
    facts = {
        "seed": options.seed,
        "streams": len(corpus.heard),
        "epochs": options.epochs,
        "minutes": round((time.monotonic() - began) / 60, 1),
        "commit": _commit(),
        "torch": torch.__version__,
    }
    options.card.write_text(card(judged[0], judged[1], facts), "utf-8")


def _corpus(streams: int, seed: int) -> Corpus:
    with ProcessPoolExecutor(SHARES) as processes:
        shares = [
            processes.submit(training_corpus, TRAINING_VOICES, streams, TAKES, SHARES * seed + share)
            for share in range(SHARES)
        ]
        parts = [share.result() for share in shares]
    return Corpus(np.concatenate([p.heard for p in parts]), np.concatenate([p.wanted for p in parts]))


def _judged(weights: Path) -> tuple[Net, dict[str, dict[str, float]]]:
    """Return the net as the service reads it, and its figures by what was heard and how far ahead."""
    with np.load(weights) as arrays:
        net = read_net(dict(arrays))
    found = {}
    for name, noisy in (("clean", False), ("recorded", True)):
        held_out = held_out_corpus(HELD_OUT_VOICES, HELD_OUT_STREAMS, HELD_OUT_SEED, noisy=noisy)
        for read_out in net.read_outs:
            said = said_of(net, held_out, read_out)
            found[f"{name}, {read_out.blocks * 40} ms"] = figures(said, held_out.wanted)
    return net, found


def _commit() -> str:
    run = subprocess.run(["git", "rev-parse", "HEAD"], cwd=PORTRAIT, capture_output=True, text=True, check=False)
    return run.stdout.strip() or "unknown"


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command speaks


if __name__ == "__main__":
    main()
