#!/bin/sh
# Makes speech.wav, the sample utterance of `avatar-service demo`, with Debian's espeak-ng (22.05 kHz, mono, s16).
# Many b, p and m (closed lips), long vowels (open mouth) and one pause: what an eye checks first in lip-sync.
set -eu

folder=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
espeak-ng -v en-us+f3 -s 150 -p 45 -a 120 -m -w "$folder/speech.wav" \
  '<speak>Hello! I am your avatar. Give me a portrait and a bit of speech, <break time="450ms"/> and my mouth moves with every vowel.</speak>'
