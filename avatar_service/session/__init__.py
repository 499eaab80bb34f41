"""One StreamAvatar call: its words, its tables, its segments, and the async shell around them."""
