"""avatar-service: a portrait and a live stream of speech in, a talking video out."""

__version__ = "0.1.0"
