"""REST and HLS for browsers and scripts: a process of its own and a plain client of StreamAvatar."""
