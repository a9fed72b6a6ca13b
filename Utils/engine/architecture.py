"""The facts of MEAN's networks, which the Keras models (define_model.py) and this engine share (docs/method.md, 2)."""

from __future__ import annotations

FEATURE_SIDE = 42  # of the images, pixels
STREAMS = {"u": 3, "v": 3, "strain": 8}  # inputs -> filters of their convolution
CHANNELS = tuple(STREAMS)  # of features, in their order
KERNEL = 5  # side of all convolutions, pixels
STREAM_L2, STREAM_POOL, STREAM_DROPOUT = 0.001, 3, 0.3  # regularisation; side and stride of the pooling; dropout rate
HEAD_FILTERS, HEAD_L2, HEAD_POOL, HEAD_DROPOUT = 8, 0.1, 2, 0.2  # filters of the convolution; then as above
MOMENTUM, EPSILON = 0.99, 0.001  # of batch normalisation
