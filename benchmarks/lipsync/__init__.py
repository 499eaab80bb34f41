"""The lip-sync evaluation: what a viewer of the encoded video sees, against what the sound asks for."""
