"""Drawing in face units: masks of polygons, lines and blobs, and smooth noise, on a grid of float32 pixels.

Conventions: one face unit is about the distance between the outer ends of the brows. x is 0 on the mid-line of the face
and grows to the right of the image; y grows downwards. Colours are BGR, 0 to 255. Masks are float32, 0 to 1.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from Utils.synthetic.portable import exp

SUBPIXEL_BITS = 6  # OpenCV takes coordinates in fixed point, here in 1/64 pixel
LEAST_SPREAD = 0.6  # pixels; noise is smoothed at least this much


def spline(points: np.ndarray, steps: int = 12, closed: bool = False) -> np.ndarray:
    """Catmull-Rom curve through `points`, shape (n, 2), with `steps` points for each segment.

    Returns
    -------
    ndarray of float64
        Open: shape ((n - 1) steps + 1, 2). Closed: shape (n steps, 2).
    """
    points = np.asarray(points, float)
    if closed:
        padded = np.vstack([points[-1:], points, points[:2]])
    else:
        padded = np.vstack([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    weights, last = _spline_weights(steps), len(padded) - 3
    curve = sum(weights[:, k, None] * padded[k : k + last, None] for k in range(4)).reshape(-1, 2)
    return curve if closed else np.vstack([curve, points[-1:]])


@lru_cache
def _spline_weights(steps: int) -> np.ndarray:
    """Weights of the four points around a segment, at `steps` places along it, shape (steps, 4)."""
    t = np.arange(steps) / steps
    t2, t3 = t * t, t * t * t
    return 0.5 * np.stack([-t + 2 * t2 - t3, 2 - 5 * t2 + 3 * t3, t + 4 * t2 - 3 * t3, t3 - t2], 1)


def blend(image: np.ndarray, mask: np.ndarray, colour: np.ndarray) -> None:
    """Paint `colour` (one BGR triple, or an image) over `image`, in place, with the opacity `mask` (height, width)."""
    image += (np.asarray(colour, np.float32) - image) * mask[..., None]


class Canvas:
    """A grid of pixels, placed in face units.

    Parameters
    ----------
    left, top : float
        Face coordinates of the grid's upper left corner.
    width, height : int
        Size in pixels.
    scale : float
        Pixels per face unit.

    Attributes
    ----------
    x, y : ndarray of float32, shape (height, width)
        Face coordinates of the pixel centres.
    """

    def __init__(self, left: float, top: float, width: int, height: int, scale: float) -> None:
        self.left, self.top, self.width, self.height, self.scale = left, top, width, height, scale
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        self.x = (columns + 0.5) / scale + left
        self.y = (rows + 0.5) / scale + top

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width

    def crop(self, low: np.ndarray, high: np.ndarray) -> tuple[Canvas, slice, slice]:
        """The canvas of the pixels between two corners in face units, and its rows and columns on this canvas."""
        x0, y0 = np.maximum(np.floor(self.to_pixels(low)).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(self.to_pixels(high)).astype(int), [self.width, self.height])
        inner = Canvas(self.left + x0 / self.scale, self.top + y0 / self.scale, x1 - x0, y1 - y0, self.scale)
        return inner, slice(y0, y1), slice(x0, x1)

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Face coordinates (..., 2) to pixel coordinates, in which the centre of a pixel has whole numbers."""
        return (np.asarray(points, float) - [self.left, self.top]) * self.scale - 0.5

    def fixed_point(self, points: np.ndarray) -> np.ndarray:
        """Face coordinates to pixel coordinates in fixed point, int32, as OpenCV's drawing functions take them."""
        return np.round(self.to_pixels(points) * (1 << SUBPIXEL_BITS)).astype(np.int32)

    def polygon(self, points: np.ndarray, blur: float = 0.0) -> np.ndarray:
        """Mask of a filled polygon; `blur` (face units) softens its edge."""
        mask = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(mask, [self.fixed_point(points)], 255, cv2.LINE_AA, SUBPIXEL_BITS)
        return self._soften(mask, blur * self.scale)

    def line(self, points: np.ndarray, width: float, blur: float = 0.0) -> np.ndarray:
        """Mask of an open line of `width` face units (at least one pixel)."""
        mask = np.zeros(self.shape, np.uint8)
        thickness = max(1, round(width * self.scale))
        cv2.polylines(mask, [self.fixed_point(points)], False, 255, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
        return self._soften(mask, blur * self.scale)

    def blob(self, x: float, y: float, sigma_x: float, sigma_y: float) -> np.ndarray:
        """Gaussian hill of height 1 at (x, y)."""
        across, down = (self.x[:1] - x) / sigma_x, (self.y[:, :1] - y) / sigma_y
        return exp(-0.5 * across**2) * exp(-0.5 * down**2)

    def noise(self, rng: np.random.Generator, sigma: float) -> np.ndarray:
        """Gaussian noise of standard deviation 1, float32 (height, width), smooth over `sigma` face units."""
        spread = max(sigma * self.scale, LEAST_SPREAD)
        step = max(1, int(spread / 2))  # broad noise is drawn on a coarser grid and enlarged
        values = rng.normal(size=(self.height // step + 2, self.width // step + 2)).astype(np.float32)
        values = cv2.GaussianBlur(values, (0, 0), spread / step)
        values /= values.std()
        if step > 1:
            return cv2.resize(values, (self.width, self.height), interpolation=cv2.INTER_CUBIC)
        return values[: self.height, : self.width]

    @staticmethod
    def _soften(mask: np.ndarray, sigma: float) -> np.ndarray:
        values = mask.astype(np.float32) / 255
        return cv2.GaussianBlur(values, (0, 0), sigma) if sigma > 0 else values
