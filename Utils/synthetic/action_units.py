"""Action units as displacements of the face, spread from landmarks to every pixel.

Each action unit moves a few landmarks and some points between them. Gaussian radial basis functions spread the motion
to the surroundings. An intensity is a share of the full displacement: 1 is a strong macro-expression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from Utils.synthetic.canvas import Canvas
from Utils.synthetic.identity import CENTRE_Y, MIRROR, SIDES, Identity
from Utils.synthetic.portable import exp, product, solve

Intensity = float | Sequence[float]  # one value for both sides, or (left, right) in the image
ActionUnits = Mapping[str, Intensity]

SIGMA = 0.10  # width of the basis functions, face units
RIDGE = 0.02  # added to the diagonal: keeps the weights small where control points are close together
STEP = 4  # pixels between the points of the coarse grid on which displacement fields are kept
INVERSION_STEPS, INVERSION_DAMPING = 8, 0.75  # most steps of the inversion, and the factor on each correction
INVERSION_TOLERANCE = 0.01  # pixels of the texture; with smaller corrections the inversion ends
CONTROL_LANDMARKS = 60  # the inner lips follow the outer ones
MIDDLE_LANDMARKS = (8, 51, 57)  # moved by both sides, half each
JAW_DROP = "AU26"  # a jaw has no sides

# Control points between the landmarks: (distance from the mid-line, y), face units
EXTRA_POINTS = {
    "cheek": (0.33, 0.47), "lower_cheek": (0.40, 0.63), "glabella": (0.03, 0.12), "inner_forehead": (0.12, -0.10),
    "outer_forehead": (0.33, -0.10), "temple": (0.55, 0.05), "beside_nose": (0.20, 0.60), "chin": (0.10, 1.12),
    "under_eye": (0.26, 0.33), "hairline": (0.25, -0.33),
}  # fmt: skip

# Displacement at full intensity, face units: {landmark on the image's left side, or name of an extra point: (away from
# the mid-line, down)}
DISPLACEMENTS: dict[str, dict[int | str, tuple[float, float]]] = {
    "AU1": {21: (0, -.075), 20: (0, -.06), 19: (0, -.025), "inner_forehead": (0, -.05), "glabella": (0, -.03)},
    "AU2": {17: (0, -.055), 18: (0, -.075), 19: (0, -.06), 20: (0, -.025), "outer_forehead": (0, -.05)},
    "AU4": {21: (-.035, .045), 20: (-.03, .05), 19: (-.02, .042), 18: (-.01, .03), 17: (0, .012),
            "glabella": (-.01, .035), "inner_forehead": (-.01, .03), "outer_forehead": (0, .015)},
    "AU6": {"cheek": (0, -.055), "under_eye": (0, -.03), "lower_cheek": (0, -.03), 41: (0, -.012), 40: (0, -.010)},
    "AU9": {31: (.008, -.025), 32: (0, -.02), "beside_nose": (0, -.03), "glabella": (0, .02), 21: (-.01, .02),
            50: (0, -.02), 49: (0, -.015)},
    "AU10": {50: (0, -.035), 49: (0, -.025), 51: (0, -.025), "beside_nose": (0, -.02), 32: (0, -.008)},
    "AU12": {48: (.055, -.055), 49: (.03, -.02), 59: (.03, -.03), 58: (.012, -.008), 50: (.010, -.004),
             "lower_cheek": (.012, -.04), "beside_nose": (.02, -.025), "cheek": (0, -.02)},
    "AU15": {48: (.005, .06), 49: (0, .02), 59: (0, .03), 58: (0, .006), "chin": (0, -.012)},
    "AU17": {57: (0, -.03), 58: (0, -.03), "chin": (0, -.05), 8: (0, -.01), 7: (0, -.01)},
    "AU18": {48: (-.05, 0), 49: (-.03, 0), 59: (-.03, 0), 50: (-.012, 0), 58: (-.014, 0)},
    "AU24": {50: (0, .012), 51: (0, .012), 57: (0, -.016), 58: (0, -.014), 48: (-.012, 0)},
    JAW_DROP: {8: (0, .11), 7: (0, .105), 6: (0, .09), 5: (0, .06), 4: (0, .025), "chin": (0, .12)},
}  # fmt: skip

# What opens and closes at full intensity: change of the opening by the upper and by the lower lid (1 is the neutral
# opening), then gap above and below the lip line in face units
OPENINGS = {
    "AU2": (0.03, 0, 0, 0),
    "AU4": (-0.08, 0, 0, 0),
    "AU5": (0.18, 0, 0, 0),
    "AU6": (-0.10, -0.35, 0, 0),
    "AU9": (-0.12, -0.15, 0, 0),
    "AU12": (-0.03, -0.10, 0, 0),
    "AU25": (0, 0, 0.012, 0.045),
    JAW_DROP: (0, 0, 0, 0.125),
}
AU_NAMES = tuple(sorted({*DISPLACEMENTS, *OPENINGS}, key=lambda name: int(name[2:])))


def both_sides(action_units: ActionUnits) -> dict[str, np.ndarray]:
    """Intensities as (left, right) pairs, float64 (2,) each. ValueError for a name that is not in `AU_NAMES`."""
    pairs = {}
    for name, value in action_units.items():
        if name not in AU_NAMES:
            raise ValueError(f"{name!r} is not an action unit; use one of {', '.join(AU_NAMES)}")
        pair = np.broadcast_to(np.asarray(value, float), (2,))
        pairs[name] = np.full(2, pair.mean()) if name == JAW_DROP else pair
    return pairs


def openings(action_units: Mapping[str, np.ndarray]) -> tuple[np.ndarray, float, float]:
    """The opening of lids and lips.

    Parameters
    ----------
    action_units : mapping of str to ndarray, shape (2,)
        As `both_sides` returns them.

    Returns
    -------
    lids : ndarray, shape (2, 2)
        Opening of the (left, right) eye by its (upper, lower) lid. 1 is neutral.
    gap_up, gap_down : float
        Opening of the mouth above and below the lip line, face units.
    """
    lids, gaps = np.ones((2, 2)), np.zeros(2)
    for name, pair in action_units.items():
        if name in OPENINGS:
            upper, lower, *gap = OPENINGS[name]
            lids += pair[:, None] * [upper, lower]
            gaps += np.mean(pair) * np.array(gap)
    return lids, float(gaps[0]), float(gaps[1])


class Motion:
    """The displacement fields of one identity: of its action units, and of turns of its head.

    Parameters
    ----------
    identity : Identity
    canvas : Canvas
        The canvas of the head's texture.
    depth : ndarray of float32, shape (height, width)
        The head's relief in face units, for the parallax.
    """

    def __init__(self, identity: Identity, canvas: Canvas, depth: np.ndarray) -> None:
        self.scale = canvas.scale
        self.shape = canvas.height // STEP + 1, canvas.width // STEP + 1
        rows, columns = np.mgrid[0 : self.shape[0], 0 : self.shape[1]].astype(np.float32)
        self._rows, self._columns = rows, columns
        grid = np.stack([columns, rows], -1) * STEP + (STEP - 1) / 2
        grid = self._grid = (grid + 0.5) / canvas.scale + [canvas.left, canvas.top]

        controls, names = _control_points(identity)
        spread = _gaussians(controls, controls) + RIDGE * np.eye(len(controls))
        on_grid = _gaussians(grid.reshape(-1, 2), controls).astype(np.float32)
        on_landmarks = _gaussians(identity.landmarks, controls)
        moves = [(name, side) for name in DISPLACEMENTS for side in SIDES]
        weights = solve(spread, np.hstack([_displacements(name, side, names) for name, side in moves]))
        fields, shifts = product(on_grid, weights.astype(np.float32)), product(on_landmarks, weights)
        self._fields, self._shifts = {}, {}
        for first, move in zip(range(0, fields.shape[1], 2), moves, strict=True):
            field = fields[:, first : first + 2].reshape(*self.shape, 2)
            self._fields[move] = field * np.float32(canvas.scale)
            self._shifts[move] = shifts[:, first : first + 2]
        self._parallax, self._landmark_parallax = self._measure_parallax(identity, canvas, depth)

    def _measure_parallax(self, identity: Identity, canvas: Canvas, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Height of the relief above its middle: in pixels on the coarse grid, and in face units at the landmarks."""
        coarse = cv2.resize(depth, self.shape[::-1], interpolation=cv2.INTER_AREA)
        coarse = (coarse - coarse[self.shape[0] // 2, self.shape[1] // 2]) * canvas.scale
        columns, rows = np.clip(canvas.to_pixels(identity.landmarks), 0, np.array(canvas.shape[::-1]) - 1).astype(int).T
        return coarse.astype(np.float32), depth[rows, columns] - depth[canvas.height // 2, canvas.width // 2]

    def local_warp(self, centre: np.ndarray, sigma: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """A movement around one place, for `field`: a Gaussian hill. Float32 (rows, columns, 2), pixels of the texture.

        Parameters
        ----------
        centre, sigma, shift : ndarray, shape (2,)
            Place, width, and displacement at the centre, each (right, down), face units.
        """
        hill = exp(-0.5 * (((self._grid - centre) / sigma) ** 2).sum(-1))
        return (hill[..., None] * np.asarray(shift) * self.scale).astype(np.float32)

    def field(
        self, action_units: Mapping[str, np.ndarray], yaw: float, pitch: float, warp: np.ndarray | None = None
    ) -> np.ndarray:
        """Backward displacement on the coarse grid, in pixels of the texture, float32 (rows, columns, 2).

        The picture at x shows the point that is at x - field(x) when the face is at rest. `warp` is a sum of what
        `local_warp` returns.
        """
        forward = np.empty((*self.shape, 2), np.float32)
        np.multiply(self._parallax, np.float32(yaw), out=forward[..., 0])
        np.multiply(self._parallax, np.float32(pitch), out=forward[..., 1])
        for name, pair in action_units.items():
            for side, intensity in zip(SIDES, pair, strict=True):
                if intensity and (name, side) in self._fields:
                    forward += np.float32(intensity) * self._fields[name, side]
        if warp is not None:
            forward += warp
        return self._invert(forward)

    def _invert(self, forward: np.ndarray) -> np.ndarray:
        """Solve back(x) = forward(x - back(x)) by fixed-point steps.

        The steps are damped, because a raised brow stretches its lid a lot.
        """
        back = forward
        for _ in range(INVERSION_STEPS):
            map_x, map_y = self._columns - back[..., 0] / STEP, self._rows - back[..., 1] / STEP
            moved = cv2.remap(forward, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            correction = moved - back
            back = back + np.float32(INVERSION_DAMPING) * correction
            if np.abs(correction).max() < INVERSION_TOLERANCE:
                break
        return back

    def landmark_shift(self, action_units: Mapping[str, np.ndarray], yaw: float, pitch: float) -> np.ndarray:
        """Forward displacement of the 68 landmarks, face units, shape (68, 2), without the opening of the mouth."""
        shift = self._landmark_parallax[:, None] * np.array([yaw, pitch])
        for name, pair in action_units.items():
            for side, intensity in zip(SIDES, pair, strict=True):
                if (name, side) in self._shifts:
                    shift = shift + intensity * self._shifts[name, side]
        return shift


def _gaussians(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The basis functions around `centres` at `points`, shape (points, centres)."""
    across, down = (points[:, None, axis] - centres[:, axis] for axis in (0, 1))
    return exp((across**2 + down**2) * (-0.5 / (SIGMA * SIGMA)))


def _control_points(identity: Identity) -> tuple[np.ndarray, dict[tuple[str, int], int]]:
    """Positions of the control points, and the index of each extra point by (name, side)."""
    points = list(identity.landmarks[:CONTROL_LANDMARKS])
    names = {}
    for name, (away, y) in EXTRA_POINTS.items():
        for side in SIDES:
            names[name, side] = len(points)
            length = identity.looks.face_length
            points.append((side * away * identity.looks.face_width, CENTRE_Y + (y - CENTRE_Y) * length))
    return np.array(points), names


def _displacements(name: str, side: int, names: Mapping[tuple[str, int], int]) -> np.ndarray:
    """Displacement of every control point by one side of an action unit, shape (points, 2)."""
    moves = np.zeros((CONTROL_LANDMARKS + len(names), 2))
    for point, (away, down) in DISPLACEMENTS[name].items():
        if isinstance(point, str):
            moves[names[point, side]] += [side * away, down]
        elif point in MIDDLE_LANDMARKS:
            moves[point] += [0, down / 2]
        else:
            moves[point if side < 0 else MIRROR[point]] += [side * away, down]
    return moves
