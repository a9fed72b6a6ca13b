"""The relief of a face: its outline, the height of its surface, and the light on it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from Utils.synthetic.canvas import Canvas, spline
from Utils.synthetic.identity import EYES, JAW, OUTER_LIPS, SIDES, Identity
from Utils.synthetic.portable import arctan2, cos, exp, hypot, sin

# Face units
DOME_CENTRE = (0.0, 0.36)  # the middle of the dome that the head rises to
DOME_HEIGHT = 0.80
CROWN_Y = -0.62  # top of the skull, without hair

INNER_LIP_MIDDLE = [61, 62, 63, 65, 66, 67]  # landmarks of the inner lips, without the corners


@dataclass(frozen=True)
class Relief:
    """What the light and the parallax need to know about a head. All arrays but the outline have the canvas's shape.

    Attributes
    ----------
    outline : ndarray, shape (n, 2)
        Closed outline of jaw and skull, face units.
    radius : ndarray
        Distance from the dome's centre. It is 1 on the outline.
    depth : ndarray
        Height towards the camera, face units.
    shade : ndarray
        Factor on the skin's colour, about 0.3 to 1.2.
    gloss : ndarray
        Specular light, 0 to 1.
    """

    outline: np.ndarray
    radius: np.ndarray
    depth: np.ndarray
    shade: np.ndarray
    gloss: np.ndarray


def half_width(identity: Identity) -> float:
    """Half the width of the head at the ears."""
    return abs(identity.landmarks[0, 0] - identity.landmarks[16, 0]) / 2


def lip_line_y(identity: Identity) -> float:
    """Height of the line between the closed lips."""
    return float(identity.landmarks[INNER_LIP_MIDDLE, 1].mean())


def make_relief(identity: Identity, canvas: Canvas) -> Relief:
    """Outline, height field and light of an identity at rest."""
    outline = _outline(identity)
    radius = _radius(outline, canvas)
    features = _nose(identity, canvas) + _eyes_and_cheeks(identity, canvas) + _mouth_and_chin(identity, canvas)
    depth = (_dome(radius) + features).astype(np.float32)
    shade, gloss = _light(identity, canvas, depth)
    # The sides of the head turn away from the light
    shade *= (1 - 0.20 * np.clip((radius - 0.6) / 0.4, 0, 1) ** 2).astype(np.float32)
    return Relief(outline, radius, depth, shade, gloss)


def _outline(identity: Identity) -> np.ndarray:
    width, ear_y = half_width(identity) * 1.03, identity.landmarks[0, 1]
    angle = np.linspace(0, np.pi, 25)[1:-1]
    skull = np.stack([width * cos(angle), ear_y + (CROWN_Y - ear_y) * sin(angle)], 1)
    return np.vstack([spline(identity.landmarks[JAW], 6), skull])


def _radius(outline: np.ndarray, canvas: Canvas) -> np.ndarray:
    """Distance of each pixel from the dome's centre, as a share of the outline's distance in that direction."""
    rays = outline - DOME_CENTRE
    angle, distance = arctan2(rays[:, 1], rays[:, 0]), hypot(*rays.T)
    order = np.argsort(angle, kind="stable")
    grid = np.linspace(-np.pi, np.pi, 361)
    reach = np.interp(grid, angle[order], distance[order], period=2 * np.pi)
    reach = sum(np.roll(reach[:-1], shift) for shift in range(-4, 5)) / 9  # no creases along rays
    x, y = canvas.x - DOME_CENTRE[0], canvas.y - DOME_CENTRE[1]
    return hypot(x, y) / np.interp(arctan2(y, x), grid[:-1], reach, period=2 * np.pi)


def _dome(radius: np.ndarray) -> np.ndarray:
    """Ellipsoid that follows the outline. It goes on falling beyond the outline, because a flat rim would be lit."""
    edge = 0.97
    inside = np.sqrt(np.clip(1 - edge * radius**2, 1 - edge, None))
    beyond = np.clip(radius - 1, 0, 0.06) * edge / np.sqrt(1 - edge)
    return DOME_HEIGHT * (inside - beyond)


def _nose(identity: Identity, canvas: Canvas) -> np.ndarray:
    landmarks, x, y = identity.landmarks, canvas.x[:1], canvas.y[:, :1]  # one row, and one column
    base = landmarks[33, 1]
    along = np.clip((y - landmarks[27, 1]) / (landmarks[30, 1] + 0.02 - landmarks[27, 1]), -0.3, 1.0)
    height = identity.looks.nose_height * np.clip(0.22 + 0.78 * along, 0, 1)
    width = 0.042 + 0.035 * np.clip(along, 0, 1)
    above_base = 1 / (1 + exp((y - (base - 0.035)) / 0.016))
    below_brows = 1 / (1 + exp(-(y - 0.07) / 0.05))
    nose = height * exp(-0.5 * (x / width) ** 2) * above_base * below_brows
    for wing in (31, 35):
        nose = nose + 0.055 * canvas.blob(landmarks[wing, 0] * 0.92, base - 0.055, 0.040, 0.042)
    return nose


def _eyes_and_cheeks(identity: Identity, canvas: Canvas) -> np.ndarray:
    looks, blob = identity.looks, canvas.blob
    relief = np.zeros(canvas.shape)
    for eye in EYES:
        x, y = (identity.landmarks[eye][0] + identity.landmarks[eye][3]) / 2
        relief += 0.030 * blob(x, y + 0.005, 0.065, 0.040) - looks.socket_depth * blob(x * 0.97, y, 0.115, 0.075)
        relief += 0.035 * blob(x, y - 0.135, 0.16, 0.045)  # brow ridge
        relief -= 0.012 * blob(x, y + 0.085, 0.09, 0.018)  # under the lower lid
    for side in SIDES:
        relief += looks.cheek_height * blob(side * 0.33, 0.50, 0.13, 0.12)
    return relief


def _mouth_and_chin(identity: Identity, canvas: Canvas) -> np.ndarray:
    landmarks, blob = identity.landmarks, canvas.blob
    half_mouth, x = (landmarks[54, 0] - landmarks[48, 0]) / 2, landmarks[OUTER_LIPS, 0].mean()
    upper, line, lower = landmarks[51, 1], lip_line_y(identity), landmarks[57, 1]
    relief = 0.030 * blob(x, (upper + line) / 2 + 0.005, half_mouth * 0.55, (line - upper) * 0.55)
    relief += 0.045 * blob(x, (lower + line) / 2, half_mouth * 0.45, (lower - line) * 0.45)
    relief += 0.030 * blob(x, line, half_mouth * 1.2, 0.12)
    relief -= 0.022 * blob(x, line, half_mouth * 0.45, 0.012)
    relief -= 0.030 * blob(x, lower + 0.055, half_mouth * 0.5, 0.030)
    relief += 0.055 * blob(0, landmarks[8, 1] - 0.11, 0.14, 0.09)  # chin
    relief -= 0.010 * blob(x, (landmarks[33, 1] + upper) / 2, 0.022, 0.05)  # philtrum
    return relief


def _light(identity: Identity, canvas: Canvas, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Diffuse and ambient light, darker in hollows, and the gloss (specular light)."""
    looks, scale = identity.looks, canvas.scale
    smooth = cv2.GaussianBlur(depth, (0, 0), 0.010 * scale)
    slope_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8) * scale
    slope_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8) * scale
    normal_z = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    normal_x, normal_y = -slope_x * normal_z, -slope_y * normal_z
    length = hypot(hypot(looks.light_x, looks.light_y), 1.0)
    light_x, light_y, light_z = np.array([looks.light_x, looks.light_y, 1.0]) / length
    diffuse = np.clip(normal_x * light_x + normal_y * light_y + normal_z * light_z, 0, 1)
    half_way = (normal_x * light_x + normal_y * light_y + normal_z * (1 + light_z)) / 2
    hollow = cv2.GaussianBlur(depth, (0, 0), 0.05 * scale) - depth
    shade = (looks.ambient + (1.08 - looks.ambient) * diffuse) * (1 - np.clip(hollow * 9, -0.10, 0.45))
    gloss = ((np.clip(half_way, 0, 1).astype(np.float32) ** 2) ** 2) ** 2
    return shade.astype(np.float32), gloss * (gloss**2) ** 2  # half_way to the power of 40
