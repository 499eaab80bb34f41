"""Owns the fuzzing of everything that reads what strangers send: ``python -m fuzz`` runs Atheris on it."""
