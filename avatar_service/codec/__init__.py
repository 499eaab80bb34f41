"""Codecs: what turns frames into access units. They know nothing of sessions or time."""
