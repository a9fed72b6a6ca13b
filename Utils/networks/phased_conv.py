"""A convolution whose output goes straight into a max-pooling, computed several times faster and with equal results.

A 5x5 convolution (zero padding) followed by a 3x3 max-pooling with stride 3 needs, for every pooled pixel, nine
positions of the convolution; together they see a 7x7 window. `PhasedConv2D` computes the nine as nine groups of
channels ("phases") of one 7x7 convolution with stride 3, whose kernel holds the 5x5 kernel nine times, shifted. CPU
convolutions with one input channel are slow per output pixel, so a ninth of the pixels with nine times the channels is
much quicker. Weights, their shapes and their gradients are those of `Conv2D`.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable("mean")
class PhasedConv2D(layers.Layer):
    """`Conv2D(filters, size, padding="same")` with ReLU, its positions grouped by phase within pooling windows.

    (batch, height, width, 1) -> (batch, height / stride, width / stride, stride^2, filters). Height and width must be
    divisible by `stride`. Weights: kernel (size, size, 1, filters), bias (filters,).
    """

    def __init__(self, filters: int, size: int, stride: int, kernel_regularizer=None, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.size, self.stride = filters, size, stride
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        if input_shape[-1] != 1:
            raise ValueError(f"one input channel expected, not {input_shape[-1]}")
        self.kernel = self.add_weight(
            name="kernel", shape=(self.size, self.size, 1, self.filters), regularizer=self.kernel_regularizer
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def _placement(self) -> np.ndarray:
        """(window^2 stride^2, size^2) of 0 and 1: where each kernel tap stands in the wide kernel of each phase."""
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
    """The max-pooling that goes with `PhasedConv2D`: the largest of the phases, (..., phases, C) -> (..., C)."""

    def call(self, inputs):
        return ops.max(inputs, axis=-2)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-2], input_shape[-1])
