"""Makes the speech-to-motion model of the portrait engine: its corpus, the net and the model card.

A tool of its own, never imported by the service. It needs Debian's ``espeak-ng`` and ``flite``; only the training
itself (``network``, ``fit``) needs torch.
"""
