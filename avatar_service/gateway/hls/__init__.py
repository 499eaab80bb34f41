"""HTTP Live Streaming: from access units and sound to fragments, segments and playlists."""
