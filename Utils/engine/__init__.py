"""MEAN's networks in compiled code: the same mathematics as the Keras models of define_model.py, several times faster.

Other rooms use the names in `__all__`, and the facts in `architecture`.
"""

from Utils.engine.architecture import CHANNELS
from Utils.engine.parameters import RECOG, SPOT, glorot, initial_weights, new_heads, shapes_of
from Utils.engine.prediction import predict
from Utils.engine.ready import ENGINE_VERSION, compile_engine
from Utils.engine.training import train

__all__ = [
    "CHANNELS", "ENGINE_VERSION", "RECOG", "SPOT", "compile_engine", "glorot", "initial_weights", "new_heads",
    "predict", "shapes_of", "train",
]  # fmt: skip
