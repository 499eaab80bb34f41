"""The IMTalker model in PyTorch, exact against the public reference. It knows no session, stream or engine contract.

``Model`` is what others use; its parts are networks that a graph or a compiler may take at fixed batch sizes.
"""

from avatar_service.engine.imtalker.model.generator import Context, Style
from avatar_service.engine.imtalker.model.identity import Identity
from avatar_service.engine.imtalker.model.model import Model
from avatar_service.engine.imtalker.model.precision import Precision
from avatar_service.engine.imtalker.model.weights import WeightsError

__all__ = ["Context", "Identity", "Model", "Precision", "Style", "WeightsError"]
