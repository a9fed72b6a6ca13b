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
from numba.core.codegen import get_host_cpu_features

from tests.support.paths import GOLDEN, PROJECT, RECORDED
from tests.support.tvl1_norms import compared
from tests.support.tvl1_pairs import SIDE, checksum, recorded_checksums, recorded_pairs, why_not_opencv
from tests.support.tvl1_reference import reference_flow
from Utils.tvl1 import KERNEL_VERSION, TVL1, compile_kernel, kernel, tables, tvl1_flow
from Utils.tvl1.iteration import iterate, update_dual
from Utils.tvl1.layout import CHANGE, FIELDS, P11, P12, P21, P22, ROW, STRIDE, TAU_THETA, U1, U2
from Utils.work.lanes import LANES, load


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
    """Pixels that are warped one by one occur, pixels that are not, and both ends of the iterations."""
    tvl1 = TVL1()
    counts = []
    for first, second in PAIRS.values():
        tvl1(first, second)
        counts.append(tvl1.counts.copy())
    outer, inner, _, slow = np.array(counts).T
    assert slow.min() == 0
    assert slow.max() > 0
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
def test_the_median_may_take_more_columns(lanes):
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


@pytest.mark.parametrize("length", [2.0**-38, 2.0**-12, 0.5, 1.0, 2.0, 3.0, 32.0])
def test_a_certain_norm_is_exact(length):
    norms, uncertain, exact = compared(*norms_near(length))
    np.testing.assert_array_equal(norms[~uncertain], exact[~uncertain])
    assert uncertain.mean() < 0.01


@pytest.mark.parametrize("other", [0, 0.25, 2**0.5])
@pytest.mark.parametrize("exponent", [0, 1])
def test_certain_norms_are_exact_for_every_mantissa(exponent, other):
    """All float32 numbers of an octave, and of the next one: the root of an odd power of two has other mantissas."""
    for first in range(0, 2**23, 2**21):
        dx = np.int32((127 + exponent) * 2**23 + first + np.arange(2**21)).view(np.float32)
        norms, uncertain, exact = compared(dx, np.full_like(dx, other))
        np.testing.assert_array_equal(norms[~uncertain], exact[~uncertain])
        assert uncertain.mean() < 1e-3


def test_few_norms_are_uncertain():
    random = np.random.default_rng(2).normal(size=(2, 1_000_000)).astype(np.float32)
    norms, uncertain, exact = compared(*random)
    np.testing.assert_array_equal(norms[~uncertain], exact[~uncertain])
    assert 0 < uncertain.mean() < 1e-4
    norms, uncertain, exact = compared(*np.float32([[1, 0, 3, -5, 2**-30], [0, -1, 4, 12, 0]]))
    assert not uncertain.any() and norms[:5].tolist() == exact[:5].tolist() == [1, 1, 5, 13, 2**-30]


def test_small_norms_do_not_matter():
    """Below 2^-40 they may be wrong, but not large: 1 + tau/theta |grad u| is 1."""
    norms, uncertain, exact = compared(*np.float32([[0, 2**-60, 2**-149], [0, -(2**-62), 0]]))
    assert not uncertain.any() and (np.abs(norms - exact) <= 2**-40).all()


@njit
def update_one_row(rows, has_right, room):
    update_dual(rows, ROW, False, load(has_right, 0), True, room)


@pytest.mark.parametrize("component", [1, 2])
def test_uncertain_norms_are_computed_again(component):
    """The norms of ties can be wrong in float32. The dual step has the right ones, of both components of u."""
    norms, uncertain, exact = compared(*ties())
    assert uncertain.all() and 0 < np.count_nonzero(norms != exact) < len(norms)
    scale = np.float32(2**-24)  # the norm is then about 1
    differs = TAU_THETA * (norms * scale) + np.float32(1) != TAU_THETA * (exact * scale) + np.float32(1)
    dx, dy = ties()[:, np.flatnonzero(differs)[0]] * scale
    rows, room = tables.aligned_zeros(3 * FIELDS * STRIDE), tables.aligned_zeros(2 * LANES)
    u, px, py = ((U1, P11, P12), (U2, P21, P22))[component - 1]
    rows[ROW + u + np.uint64(1)] = dx
    rows[2 * ROW + u] = dy
    update_one_row(rows, np.ones(LANES, np.float32), room)
    n = np.float32(1) + TAU_THETA * np.sqrt(np.float64(dx) ** 2 + np.float64(dy) ** 2).astype(np.float32)
    assert rows[ROW + px] == TAU_THETA * dx / n
    assert rows[ROW + py] == TAU_THETA * dy / n


def test_the_last_change_is_summed_in_the_original_order():
    """Near the threshold, the sum of float32 numbers one after the other decides, not one with smaller errors."""
    room, has_right = tables.aligned_zeros(2 * LANES), tables.TABLES.has_right[0]
    differences = []
    for seed in range(6):
        start = tables.aligned_zeros((SIDE + 3) * FIELDS * STRIDE)
        fields = start.reshape(SIDE + 3, FIELDS, STRIDE)[1 : SIDE + 1]
        for field in (P11, P12, P21, P22):
            number, pad = divmod(int(field), STRIDE)
            fields[:-1, number, pad : pad + SIDE - 1] = np.random.default_rng(seed).normal(size=(SIDE - 1, SIDE - 1))
        rows = start.copy()
        _, estimate = iterate(rows, has_right, room, SIDE, np.float32(np.inf))
        number, pad = divmod(int(CHANGE), STRIDE)
        changes = rows.reshape(SIDE + 3, FIELDS, STRIDE)[1 : SIDE + 1, number, pad : pad + SIDE]
        in_order = np.cumsum(changes.ravel(), dtype=np.float32)[-1]
        differences.append(estimate - in_order)
        iterations, change = iterate(start.copy(), has_right, room, SIDE, in_order)
        assert (iterations, change) == (1, in_order)
        just_below = np.nextafter(in_order, np.float32(0))
        assert iterate(start.copy(), has_right, room, SIDE, just_below)[0] > 1
    assert min(differences) < 0 < max(differences)


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
from tests.support.tvl1_pairs import checksum, recorded_pairs
from Utils.tvl1 import compile_kernel, tvl1_flow
compile_kernel(lambda line: print("said:", line))
for pair in recorded_pairs():
    print(checksum(tvl1_flow(*pair)))
"""
NORMS = """
import numpy as np
from tests.support.tvl1_norms import compared
from Utils.work.lanes import LANES
norms, uncertain, exact = compared(*np.random.default_rng(3).normal(size=(2, 200_000)).astype(np.float32))
print(LANES, np.array_equal(norms[~uncertain], exact[~uncertain]), 0 < uncertain.mean() < 1e-4)
"""


def run_for(features: str, script: str, folder) -> list[str]:
    """What a script prints that compiles for x86 processors with these features, with a cache in `folder`."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(PROJECT)}
    if platform.machine().lower() in ("x86_64", "amd64"):
        environment |= {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features}
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_says_when_it_compiles_and_needs_no_fma(tmp_path):
    """Compiled for a processor without AVX and FMA, the flow is the same. The second process finds it in the cache."""
    announcement = "said: compiling the optical-flow kernel for this processor (once, about 10 s)..."
    assert run_for("", CHECKSUMS, tmp_path) == [announcement, *recorded_checksums()]
    assert run_for("", CHECKSUMS, tmp_path) == recorded_checksums()


@pytest.mark.skipif("+avx2" not in get_host_cpu_features().split(","), reason="needs a processor with AVX2")
def test_certain_norms_are_exact_with_avx2_too(tmp_path):
    """Its estimate of 1 / root is not that of AVX-512."""
    assert run_for("+avx,+avx2,+fma", NORMS, tmp_path) == ["8 True True"]
