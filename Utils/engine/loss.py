"""The loss of a batch, its gradient, and the regularisation."""

from __future__ import annotations

import math

from Utils.engine.layout import HEAD_FILTERS, TAPS, compiled, f32, f64
from Utils.work.lanes import LANES

LEAST_PROBABILITY = 1e-30  # of a class: the logarithm of 0 is not finite


@compiled()
def classify(outputs, n_outputs, lane):
    """Softmax over the outputs of one lane, in index."""
    largest = outputs[lane]
    for o in range(1, n_outputs):
        largest = max(largest, outputs[o * LANES + lane])
    total = f64(0)
    for o in range(n_outputs):
        outputs[o * LANES + lane] = f32(math.exp(f64(outputs[o * LANES + lane]) - f64(largest)))
        total += outputs[o * LANES + lane]
    for o in range(n_outputs):
        outputs[o * LANES + lane] = f32(outputs[o * LANES + lane] / total)


@compiled()
def loss_of_group(outputs, shape, targets, first, samples, batch):
    """Turn the outputs of a group into gradients of the loss, and return the sums of its loss and of its metric.

    The loss is that of each sample, without regularisation; the metric the absolute error, or 1 for a right class.
    """
    loss = f64(0)
    metric = f64(0)
    for lane in range(samples):
        if shape.classifies:
            classify(outputs, shape.outputs, lane)
            best = 0
            wanted = 0
            for o in range(shape.outputs):
                if outputs[o * LANES + lane] > outputs[best * LANES + lane]:
                    best = o
                if targets[first + lane, o] > targets[first + lane, wanted]:
                    wanted = o
            loss -= math.log(max(f64(outputs[wanted * LANES + lane]), LEAST_PROBABILITY))
            metric += f64(1) if best == wanted else f64(0)
            for o in range(shape.outputs):
                difference = outputs[o * LANES + lane] - targets[first + lane, o]
                outputs[o * LANES + lane] = difference / f32(batch)
        else:
            difference = outputs[lane] - targets[first + lane, 0]
            loss += f64(difference) * f64(difference)
            metric += abs(f64(difference))
            outputs[lane] = f32(2) * difference / f32(batch)
    for lane in range(samples, LANES):
        for o in range(shape.outputs):
            outputs[o * LANES + lane] = f32(0)
    return loss, metric


@compiled()
def add_regularisation(theta, start, size, factor, gradient):
    """Add the gradient of factor * sum of squares of some parameters; returns that sum times the factor."""
    total = f64(0)
    for i in range(start, start + size):
        total += f64(theta[i]) * f64(theta[i])
        gradient[i] += f32(2) * factor * theta[i]
    return f64(factor) * total


@compiled(inline="always")
def regularise(shape, constants, theta, gradient):
    """The L2 regularisation of all kernels of convolutions: adds its gradient, returns its loss."""
    loss = add_regularisation(
        theta, shape.head_kernel, TAPS * shape.channels * HEAD_FILTERS, constants.head_l2, gradient
    )
    for s in range(len(shape.filters)):
        loss += add_regularisation(theta, shape.kernels[s], TAPS * shape.filters[s], constants.stream_l2, gradient)
    return loss
