"""The opening of the mouth: lips and jaw move apart along the lip line, and the cavity and teeth behind them show."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from Utils.synthetic.canvas import Canvas
from Utils.synthetic.identity import Identity
from Utils.synthetic.portable import exp, power
from Utils.synthetic.skin import mouth_line

CAVITY_COLOUR = np.array([28, 22, 45], np.float32)
TEETH_COLOUR = np.array([165, 180, 190], np.float32)
LEAST_GAP = 1e-5  # face units; with a smaller gap the mouth is shut
REACH_UP, REACH_DOWN = 0.05, 0.16  # distances over which the motion of upper lip and jaw fades out, face units
ROUNDNESS = 0.6  # exponent of the gap's shape; 1 would be a parabola, with pointed lips
TEETH_FROM, TEETH_FULL = 0.05, 0.11  # gaps at which the teeth begin to show and show fully, face units


@dataclass(frozen=True)
class Opening:
    """The opening in one frame. All arrays have the shape of the part of the texture that moves.

    Attributes
    ----------
    rows, columns : slice
        The part of the texture that moves.
    shift : ndarray of float32
        What is added to the vertical sampling position, pixels.
    inside : ndarray of float32
        Mask of the cavity.
    height : ndarray of float32
        Height in the opening: 0 at the upper lip, 1 at the lower lip.
    teeth : float
        How much of the upper teeth is visible, 0 to 1.
    """

    rows: slice
    columns: slice
    shift: np.ndarray
    inside: np.ndarray
    height: np.ndarray
    teeth: float


class Mouth:
    """The mouth of one identity on the canvas of its head's texture."""

    def __init__(self, identity: Identity, canvas: Canvas) -> None:
        self.scale, self.canvas_height = canvas.scale, canvas.height
        self.line = canvas.to_pixels(mouth_line(identity)).astype(np.float32)
        self.top = int(canvas.to_pixels([0, identity.landmarks[33, 1]])[1])  # nothing moves above the nose's base

    def opening(self, gap_up: float, gap_down: float, field: np.ndarray) -> Opening | None:
        """The opening with these gaps (face units), under the displacement `field` (pixels). None for a shut mouth."""
        if gap_up <= LEAST_GAP and gap_down <= LEAST_GAP:
            return None
        columns_at_rest, rows_at_rest = np.round(self.line).astype(int).T
        line = self.line + field[rows_at_rest, columns_at_rest]
        left, right = int(np.floor(line[0, 0])), int(np.ceil(line[-1, 0]))
        x = np.arange(left, right + 1)
        y = np.interp(x, line[:, 0], line[:, 1]).astype(np.float32)
        across = (x - line[0, 0]) / (line[-1, 0] - line[0, 0]) * 2 - 1
        arch = power(np.clip(1 - across**2, 0, 1), ROUNDNESS).astype(np.float32)
        up, down = gap_up * self.scale * arch, gap_down * self.scale * arch

        rows = np.arange(self.top, self.canvas_height, dtype=np.float32)[:, None]
        below, above = rows - (y + down), (y - up) - rows
        fade_down = exp(-np.maximum(below, 0) / (REACH_DOWN * self.scale))
        fade_up = exp(-np.maximum(above, 0) / (REACH_UP * self.scale))
        shift = np.where(rows > y + (down - up) / 2, -down * fade_down, up * fade_up)
        inside = np.clip(0.5 - below, 0, 1) * np.clip(0.5 - above, 0, 1) * np.clip(up + down, 0, 1)
        inside = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), self.scale * 0.0045) * 0.95
        height = -above / np.maximum(up + down, 1)
        teeth = float(np.clip((gap_up + gap_down - TEETH_FROM) / (TEETH_FULL - TEETH_FROM), 0, 1))
        where = slice(self.top, self.canvas_height), slice(left, right + 1)
        return Opening(*where, shift.astype(np.float32), inside, height.astype(np.float32), teeth)


def paint_opening(layer: np.ndarray, opening: Opening) -> None:
    """Paint cavity and teeth into the moved texture, in place."""
    teeth = exp(-0.5 * ((opening.height - 0.18) / 0.16) ** 2)[..., None] * np.float32(opening.teeth * 0.75)
    colour = CAVITY_COLOUR + (TEETH_COLOUR - CAVITY_COLOUR) * teeth
    patch = layer[opening.rows, opening.columns, :3]
    patch += (colour - patch) * opening.inside[..., None]
