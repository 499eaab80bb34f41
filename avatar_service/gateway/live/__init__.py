"""Live sessions: a microphone in, a talking portrait out, over WebRTC."""
