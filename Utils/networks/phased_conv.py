"""A convolution that is followed by a max-pooling, computed several times faster with equal results.

A 5x5 convolution (zero padding) followed by a 3x3 max-pooling with stride 3 needs, for every pooled pixel, nine
positions of the convolution. Together these use a 7x7 window of the input. `PhasedConv2D` computes the nine positions
as nine groups of channels ("phases") of one 7x7 convolution with stride 3. The kernel of that convolution holds the 5x5
kernel nine times, each time shifted. On a CPU, a convolution with one input channel takes long for every output pixel.
A ninth of the pixels with nine times the channels is therefore much faster. Weights, their shapes and their gradients
are those of `Conv2D`.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable("mean")
class PhasedConv2D(layers.Layer):
    """`Conv2D(filters, size, padding="same")` with ReLU, its output grouped by phase within the pooling windows.

    Input: (batch, height, width, 1); height and width must be divisible by `stride`. Output: (batch, height / stride,
    width / stride, stride^2, filters). Weights: kernel (size, size, 1, filters), bias (filters,).

    Parameters
    ----------
    filters : int
    size : int
        Side of the kernel, pixels.
    stride : int
        Side and stride of the pooling windows, pixels.
    kernel_regularizer : optional
        As `Conv2D` takes it.

    Raises
    ------
    ValueError
        When it is built for an input with more than one channel.
    """

    def __init__(self, filters: int, size: int, stride: int, kernel_regularizer=None, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.size, self.stride = filters, size, stride
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        if input_shape[-1] != 1:
            raise ValueError(f"one input channel is needed, there are {input_shape[-1]}")
        self.kernel = self.add_weight(
            name="kernel", shape=(self.size, self.size, 1, self.filters), regularizer=self.kernel_regularizer
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def _placement(self) -> np.ndarray:
        """Where each tap of the kernel is in the wide kernel of each phase: 0 or 1, (window^2 stride^2, size^2)."""
        window = self.size + self.stride - 1
        placement = np.zeros((window, window, self.stride, self.stride, self.size, self.size), np.float32)
        taps, phases = np.arange(self.size), np.arange(self.stride)
        for dy in phases:
            for dx in phases:
                placement[dy + taps[:, None], dx + taps[None], dy, dx, taps[:, None], taps[None]] = 1
        return placement.reshape(-1, self.size**2)

    def call(self, inputs):
        window, phases = self.size + self.stride - 1, self.stride**2
        wide = ops.matmul(self._placement(), ops.reshape(self.kernel, (self.size**2, self.filters)))
        wide = ops.reshape(wide, (window, window, 1, phases * self.filters))
        before = (self.size - 1) // 2
        after = self.size - 1 - before
        x = ops.pad(inputs, ((0, 0), (before, after), (before, after), (0, 0)))
        x = ops.conv(x, wide, strides=self.stride, padding="valid")
        x = ops.reshape(x, (-1, inputs.shape[1] // self.stride, inputs.shape[2] // self.stride, phases, self.filters))
        return ops.relu(x + self.bias)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return (batch, height // self.stride, width // self.stride, self.stride**2, self.filters)

    def get_config(self):
        return super().get_config() | dict(
            filters=self.filters,
            size=self.size,
            stride=self.stride,
            kernel_regularizer=keras.regularizers.serialize(self.kernel_regularizer),
        )


@keras.saving.register_keras_serializable("mean")
class PhaseMaxPooling(layers.Layer):
    """The max-pooling for the output of `PhasedConv2D`: the maximum over the phases, (..., phases, C) -> (..., C)."""

    def call(self, inputs):
        return ops.max(inputs, axis=-2)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-2], input_shape[-1])
