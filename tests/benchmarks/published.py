"""The published way of computing each stage, written again as the baseline of `python -m tests.benchmarks`.

The detector looks at every frame, the flow is OpenCV's, and the strain is computed with pandas. The networks have plain
Keras layers, and are trained with a validation pass and a checkpoint after every epoch. Results are the same as the
project's, except for the last bits of training. Only the time differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
from keras import layers

from feature_extraction import FEATURE_SIZE, face_regions
from load_images import CROP_SIZE
from Utils.faces.landmarks import detect_faces, predict_landmarks
from Utils.faces.rectangles import Rectangle, clip_rectangle


def crop(frames: Sequence[Path], folder: Path) -> None:
    """Detect the face on every frame, but keep the first rectangle. Write the crops to `folder`."""
    kept: Rectangle | None = None
    for path in frames:
        image = cv2.imread(str(path))
        found = detect_faces(image)
        if kept is None:
            kept = clip_rectangle(found[0], image.shape)
        left, top, right, bottom = kept
        cv2.imwrite(str(folder / path.name), cv2.resize(image[top:bottom, left:right], (CROP_SIZE, CROP_SIZE)))


def strain(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Optical strain by differences of shifted data frames; (128, 128) float32 -> float64."""
    u, v = pd.DataFrame(u.astype(np.float64)), pd.DataFrame(v.astype(np.float64))
    u_x, u_y = (u - u.shift(1, axis=1)).fillna(0), (u - u.shift(1, axis=0)).fillna(0)
    v_x, v_y = (v - v.shift(1, axis=1)).fillna(0), (v - v.shift(1, axis=0)).fillna(0)
    return np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2).to_numpy()


def features(crops: Sequence[Path], k: int) -> np.ndarray:
    """The feature of every pair (i, i + k), all in memory; (n - k, 42, 42, 3)."""
    images = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in crops]
    brow_rows, brow_columns, mouth_rows, mouth_columns = face_regions(predict_landmarks(images[0]))
    tvl1 = cv2.optflow.DualTVL1OpticalFlow_create()
    made = []
    for first, second in zip(images, images[k:], strict=False):
        flow = tvl1.calc(first, second, None)
        magnitude, angle = cv2.cartToPolar(flow[..., 0], flow[..., 1])
        u, v = magnitude * np.cos(angle), magnitude * np.sin(angle)
        channels = [
            cv2.normalize(c.astype(np.float64), None, alpha=0, beta=1, norm_type=cv2.NORM_MINMAX)
            for c in (u, v, strain(u, v))
        ]
        image, half = np.dstack(channels), (FEATURE_SIZE, FEATURE_SIZE // 2)
        made.append(
            np.vstack(
                [cv2.resize(image[brow_rows, brow_columns], half), cv2.resize(image[mouth_rows, mouth_columns], half)]
            )
        )
    return np.array(made)


def plain_networks(n_classes: int) -> tuple[keras.Model, keras.Model]:
    """The spotting and the recognition network of plain Keras layers. The streams of the second are to be frozen."""
    inputs = [layers.Input((FEATURE_SIZE, FEATURE_SIZE, 1)) for _ in range(3)]
    streams = layers.Concatenate()(
        [_stream(x, filters) for x, filters in zip(inputs, (3, 3, 8), strict=True)]
    )  # fmt: skip
    spot = layers.Dense(1)(_head(streams))
    recog = layers.Dense(n_classes, activation="softmax")(_head(streams))
    return keras.Model(inputs, spot), keras.Model(inputs, recog)


def _stream(x, filters: int):
    x = layers.Conv2D(filters, 5, padding="same", activation="relu", kernel_regularizer=keras.regularizers.L2(0.001))(x)
    x = layers.MaxPooling2D(3, strides=3, padding="same")(layers.BatchNormalization()(x))
    return layers.Dropout(0.3)(x)


def _head(x):
    x = layers.Conv2D(8, 5, padding="same", activation="relu", kernel_regularizer=keras.regularizers.L2(0.1))(x)
    return layers.Dropout(0.2)(layers.Flatten()(layers.MaxPooling2D(2, strides=2, padding="same")(x)))


def train(
    spotting_set: tuple, recognition_set: tuple, validation: tuple[tuple, tuple], folder: Path, epochs: tuple[int, int]
) -> tuple[float, float]:
    """Train both networks of a fold, with a validation pass and a checkpoint after every epoch: the last losses."""
    spotting, recognition = plain_networks(recognition_set[1].shape[1])
    losses = []
    steps = ((spotting, spotting_set, "mse"), (recognition, recognition_set, "categorical_crossentropy"))
    for (network, samples, loss), held_out, n in zip(steps, validation, epochs, strict=True):
        network.compile(keras.optimizers.Adam(5e-4), loss=loss, metrics=["mae" if loss == "mse" else "accuracy"])
        checkpoint = keras.callbacks.ModelCheckpoint(folder / f"{loss}.weights.h5", save_weights_only=True)
        log = network.fit(
            *samples, batch_size=32, epochs=n, shuffle=True, verbose=0, validation_data=held_out, callbacks=[checkpoint]
        )
        losses.append(log.history["loss"][-1])
        for layer in spotting.layers:
            layer.trainable = False
    return losses[0], losses[1]
