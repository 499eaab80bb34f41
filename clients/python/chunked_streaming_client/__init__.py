"""Client of the REST/HLS gateway: the module that scripts of chunked-streaming servers already import.

    client = ChunkedStreamingClient("http://localhost:9999")
    client.init_session("face.jpg")
    for chunk, is_final in wav_chunks("speech.wav", seconds=1.0):
        client.feed_audio_chunk(chunk, is_final=is_final)
    client.cleanup()

It needs httpx (the extra ``[rest]``) and nothing of gRPC. ``python -m chunked_streaming_client`` runs the examples.
"""

from chunked_streaming_client.client import ChunkedStreamingClient, FeedAnswer, InitAnswer, SessionStatus
from chunked_streaming_client.errors import GatewayError
from chunked_streaming_client.wav import wav_chunks, wav_file

__all__ = [
    "ChunkedStreamingClient",
    "FeedAnswer",
    "GatewayError",
    "InitAnswer",
    "SessionStatus",
    "wav_chunks",
    "wav_file",
]
