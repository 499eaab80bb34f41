"""The portrait engine: animates the user's own photograph on one CPU core, with no torch and no download."""
