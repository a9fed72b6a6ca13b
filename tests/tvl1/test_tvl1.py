"""The TV-L1 kernel: equal in every bit to its specification, to recorded flows of OpenCV, and to the installed one."""

import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import Parallel, delayed
from numba import njit

from tests.support.paths import GOLDEN, PROJECT, RECORDED
from tests.support.tvl1_pairs import SIDE, checksum, recorded_checksums, recorded_pairs, why_not_opencv
from tests.support.tvl1_reference import reference_flow
from Utils.tvl1 import KERNEL_VERSION, TVL1, compile_kernel, kernel, tables, tvl1_flow
from Utils.tvl1.iteration import dual_norms, quick_norm
from Utils.tvl1.layout import FIELDS, ROW, STRIDE, U1, U2


def texture(seed, dx=0.0, dy=0.0, smoothness=2.0):
    """A smooth random texture, moved to the right by `dx` and down by `dy` pixels."""
    noise = np.random.default_rng(seed).uniform(0, 255, (SIDE + 32, SIDE + 32)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), smoothness)
    smooth = (smooth - smooth.min()) * (255 / (smooth.max() - smooth.min()))
    moved = cv2.warpAffine(smooth, np.float32([[1, 0, dx], [0, 1, dy]]), smooth.shape, borderMode=cv2.BORDER_REFLECT)
    return np.rint(moved[16:-16, 16:-16]).astype(np.uint8)


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)


def checkerboard(square, phase=0):
    y, x = np.mgrid[:SIDE, :SIDE]
    return (((x + phase) // square + y // square) % 2 * 255).astype(np.uint8)


BLACK, WHITE = np.zeros((SIDE, SIDE), np.uint8), np.full((SIDE, SIDE), 255, np.uint8)
PAIRS = {
    "recorded": recorded_pairs()[0],
    "half a pixel": (texture(1), texture(1, 0.5, -0.25)),
    "three pixels": (texture(2), texture(2, -3, 2)),
    "far apart": (texture(3), texture(3, 11.3, 9.1, smoothness=2)),
    "rough": (texture(4, smoothness=0.7), texture(4, 0.3, 0.1, smoothness=0.7)),
    "identical": (texture(5), texture(5)),
    "unrelated noise": (noise(6), noise(7)),
    "black and white noise": (noise(8) // 128 * 255, noise(9) // 128 * 255),
    "black to white": (BLACK, WHITE),
    "white to noise": (WHITE, noise(10)),
    "one gray": (BLACK + np.uint8(77), BLACK + np.uint8(77)),
    "checkerboard": (checkerboard(8), checkerboard(8, phase=3)),
    "checkerboard of pixels": (checkerboard(1), checkerboard(1, phase=1)),
    "edge on black": (np.tri(SIDE, dtype=np.uint8) * 255, np.tri(SIDE, k=5, dtype=np.uint8) * 255),
}


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    compile_kernel()


@pytest.mark.parametrize("number", range(10))
def test_equals_recorded_flow(number):
    assert checksum(tvl1_flow(*recorded_pairs()[number])) == recorded_checksums()[number]


def test_equals_recorded_flow_value_by_value():
    """Where the checksums differ, this says by how much."""
    with np.load(RECORDED / "tvl1.npz") as file:
        np.testing.assert_array_equal(tvl1_flow(*recorded_pairs()[0]), file["flow"])


@pytest.mark.skipif(not GOLDEN.exists(), reason="needs ../shared/golden, which is not part of the project")
def test_recorded_files_are_the_golden_ones():
    with np.load(GOLDEN / "flow" / "opencv-4.10.npz") as golden, np.load(GOLDEN / "smic_vis" / "crops.npz") as crops:
        assert [checksum(flow) for flow in golden["flow"]] == recorded_checksums()
        for (video, frame), (first, second) in zip(golden["video_and_frame"], recorded_pairs(), strict=True):
            images = crops[f"video{video:02d}"]
            np.testing.assert_array_equal(images[frame], first)
            np.testing.assert_array_equal(images[frame + 3], second)


@pytest.mark.parametrize("name", PAIRS)
def test_equals_reference(name):
    first, second = PAIRS[name]
    flow, expected = tvl1_flow(first, second), reference_flow(first, second)
    np.testing.assert_array_equal(flow, expected)
    assert flow.tobytes() == expected.tobytes()  # the signs of zeros, too


@settings(max_examples=5, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shift=st.tuples(st.floats(-14, 14), st.floats(-14, 14)),
    smoothness=st.floats(0.4, 8),
    contrast=st.floats(0, 1),
)
def test_equals_reference_on_any_texture(seed, shift, smoothness, contrast):
    first, second = (
        np.rint(image * contrast).astype(np.uint8)
        for image in (texture(seed, smoothness=smoothness), texture(seed, *shift, smoothness=smoothness))
    )
    assert tvl1_flow(first, second).tobytes() == reference_flow(first, second).tobytes()


@pytest.mark.skipif(why_not_opencv() is not None, reason=str(why_not_opencv()))
@pytest.mark.parametrize("name", [name for name in PAIRS if name not in ("far apart", "white to noise")])  # slow ones
def test_equals_installed_opencv(name):
    first, second = PAIRS[name]
    np.testing.assert_array_equal(
        tvl1_flow(first, second), cv2.optflow.DualTVL1OpticalFlow_create().calc(first, second, None)
    )


def test_pairs_reach_all_code():
    """Rows that are warped pixel by pixel occur, rows that are not, and both ends of the iterations."""
    tvl1 = TVL1()
    counts = []
    for first, second in PAIRS.values():
        tvl1(first, second)
        counts.append(tvl1.counts.copy())
    outer, inner, _, slow_rows = np.array(counts).T
    assert slow_rows.min() == 0
    assert slow_rows.max() > 0
    assert outer.min() == 25  # five warps on five scales, each at rest at once
    assert (inner / outer).max() > 15


def test_identical_images_do_not_move():
    assert not tvl1_flow(texture(20), texture(20)).any()


@pytest.mark.parametrize("shift", [(0.5, 0.0), (-1.0, 2.0), (0.0, -0.75)])
def test_finds_a_shift(shift):
    flow = tvl1_flow(texture(21), texture(21, *shift))
    np.testing.assert_allclose(np.median(flow[16:-16, 16:-16], axis=(0, 1)), shift, atol=0.1)


def test_result_depends_on_the_images_only():
    """Not on what the workspace held before, the memory layout, or whether the arrays can be written."""
    first, second = PAIRS["half a pixel"]
    used = TVL1()
    used(noise(22), noise(23))
    frozen = first.copy()
    frozen.flags.writeable = False
    wide = np.repeat(second, 2, axis=1)[:, ::2]
    flow = used(frozen, np.asfortranarray(wide))
    assert flow.tobytes() == TVL1()(first, second).tobytes()
    assert len(kernel.flow.signatures) == 1
    assert flow.shape == (SIDE, SIDE, 2)
    assert flow.dtype == np.float32


@pytest.mark.parametrize("lanes", [8, 16, 32])
def test_result_does_not_depend_on_the_vector_width(lanes):
    widths = np.array([-(-size // lanes) * lanes for size in (128, 102, 82, 66, 53)], np.uint64)
    first, second = PAIRS["three pixels"]
    out = np.empty((SIDE, SIDE, 2), np.float32)
    kernel.flow(
        first, second, out, tables.make_workspace(), tables.TABLES._replace(widths=widths), np.zeros(4, np.int64)
    )
    assert out.tobytes() == tvl1_flow(first, second).tobytes()


# The norms of the dual step, which are computed in float32


def ties():
    """(3a, 4a), whose norm 5a lies exactly between two float32 numbers."""
    a = np.arange(2**24 // 5 + 2, 2**24 // 3, 1001, dtype=np.int64) | 1
    return np.float32([3 * a, 4 * a])


def norms_near(length):
    """Pairs whose norms are a few float32 numbers from `length`. At a power of two, the distance of these changes."""
    angle = np.random.default_rng(1).uniform(0, 2 * np.pi, 50_000)
    return np.float32([length * np.cos(angle), length * np.sin(angle)])


@njit
def quick_norms(dx, dy, norms, uncertain):
    for i in range(len(dx)):
        norms[i], uncertain[i] = quick_norm(dx[i], dy[i])


def compared(dx, dy):
    """Norms computed in float32, which of them are uncertain, and the exact ones."""
    norms, uncertain = np.empty(len(dx), np.float32), np.empty(len(dx), np.bool_)
    quick_norms(dx, dy, norms, uncertain)
    return norms, uncertain, np.sqrt(dx.astype(np.float64) ** 2 + dy.astype(np.float64) ** 2).astype(np.float32)


@pytest.mark.parametrize("length", [2.0**-38, 2.0**-12, 0.5, 1.0, 2.0, 3.0, 32.0])
def test_a_certain_norm_is_exact(length):
    norms, uncertain, exact = compared(*norms_near(length))
    np.testing.assert_array_equal(norms[~uncertain], exact[~uncertain])
    assert uncertain.mean() < 0.01


def test_few_norms_are_uncertain():
    random = np.random.default_rng(2).normal(size=(2, 1_000_000)).astype(np.float32)
    norms, uncertain, exact = compared(*random)
    np.testing.assert_array_equal(norms[~uncertain], exact[~uncertain])
    assert 0 < uncertain.mean() < 1e-4
    norms, uncertain, exact = compared(*np.float32([[0, 1, 0, 3, -5, 2**-60], [0, 0, -1, 4, 12, 0]]))
    assert not uncertain.any() and norms.tolist() == exact.tolist() == [0, 1, 1, 5, 13, 2**-60]


def test_a_row_with_uncertain_norms_is_computed_again():
    """The norms of ties are wrong in float32; a row of the kernel has the right ones."""
    norms, uncertain, exact = compared(*ties())
    assert uncertain.all() and 0 < np.count_nonzero(norms != exact) < len(norms)
    dx, dy = ties()[:, np.flatnonzero(norms != exact)[0]]
    rows, found = tables.aligned_zeros(3 * FIELDS * STRIDE), tables.aligned_zeros(3 * STRIDE)
    for field in (U1, U2):
        rows[ROW + field : ROW + field + SIDE] = 0, *[dx] * (SIDE - 1)
        rows[2 * ROW + field] = dy
    dual_norms(rows, ROW, tables.TABLES.has_right[0], np.float32(1), found, np.uint64(SIDE))
    right = np.float32(np.hypot(np.float64(dx), np.float64(dy)))
    assert found[0] == found[STRIDE] == right and found[2 * STRIDE] == 1


def test_threads_do_not_disturb_each_other():
    pairs = recorded_pairs() * 2
    with ThreadPoolExecutor(2) as threads:
        flows = list(threads.map(lambda pair: tvl1_flow(*pair), pairs))
    assert [checksum(flow) for flow in flows] == recorded_checksums() * 2


def test_processes_share_the_cache():
    flows = Parallel(n_jobs=2)(delayed(tvl1_flow)(*pair) for pair in recorded_pairs())
    assert [checksum(flow) for flow in flows] == recorded_checksums()


@pytest.mark.parametrize(
    "image", [np.zeros((128, 127), np.uint8), np.zeros((128, 128, 1), np.uint8), np.zeros((128, 128), np.float32)]
)
def test_refuses_other_images(image):
    with pytest.raises(ValueError, match="second image: the flow takes gray images of 128x128 pixels, 8 bit"):
        TVL1()(BLACK, image)
    with pytest.raises(ValueError, match="first image"):
        tvl1_flow(image, BLACK)


def test_version_is_fit_for_keys():
    assert KERNEL_VERSION
    assert KERNEL_VERSION.isprintable()


def test_kernel_is_made_from_these_sources():
    """Numba's cache on disk did not hand out a kernel that was compiled from earlier files."""
    out = np.empty((SIDE, SIDE, 2), np.float32)
    made_from = kernel.flow(BLACK, BLACK, out, tables.make_workspace(), tables.TABLES, np.zeros(4, np.int64))
    assert made_from == kernel.SOURCES


CHECKSUMS = """
import sys
from tests.support.tvl1_pairs import checksum, recorded_pairs
from Utils.tvl1 import compile_kernel, tvl1_flow
compile_kernel(lambda line: print("said:", line))
for pair in recorded_pairs():
    print(checksum(tvl1_flow(*pair)))
"""


def test_says_when_it_compiles_and_needs_no_fma(tmp_path):
    """Compiled for a processor without AVX and FMA, the flow is the same. The second process finds it in the cache."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    if platform.machine().lower() in ("x86_64", "amd64"):
        environment |= {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}

    def run():
        done = subprocess.run(
            [sys.executable, "-c", CHECKSUMS],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    announcement = "said: compiling the optical-flow kernel for this processor (once, about 10 s)..."
    assert run() == [announcement, *recorded_checksums()]
    assert run() == recorded_checksums()
