"""Engines: what turns audio into motion and motion into frames. They know nothing of sessions, queues or codecs."""
