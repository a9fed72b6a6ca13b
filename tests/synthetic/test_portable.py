"""DEMO's frames are the same bytes on every x86 processor: the functions that they are made with, and the frames.

Frames are compared with recorded checksums, and with those of a process in which NumPy, OpenCV and OpenBLAS use no
code for newer processors. No machine with AVX-512 is needed for this: the last test makes sure that the renderer calls
no function of NumPy that has other code there, unless its results are exact. To record the checksums again:

    python -m tests.support.portable_frames
"""

from __future__ import annotations

import ast
import json
import math
import os
import platform
import subprocess
import sys
from pathlib import Path

import Utils  # noqa: F401  isort: skip; before cv2: it sets the limit of pixels
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import PROJECT
from tests.support.portable_frames import frames_checksums, functions_checksum
from Utils.synthetic import dataset, portable

RECORDED = {
    "courses": "9171a422289b8a72d13b291c5510bb53",
    "subject 0": "d7e5f7c318cd61e5621cc9c458bffb23",
    "subject 1": "131d1ae84c4b0ce0b6f34d02ec01adea",
    "subject 2": "15ed2ae68125b8cd9391130eb39a6433",
    "subject 3": "6a86966d22a457560878ab1a497022dc",
    "subject 4": "bddef884ac22d739a2e00a7681128739",
    "subject 5": "34e930d3b63e007e9198b355fd2b5983",
    "subject 6": "7848a88982c3875aa4466a891f88c5f1",
    "subject 7": "02919b2558405206b01a4328bb3a8f38",
    "clip 2": "240320aef1d980bbf860ccf33100957f",
    "clip 6": "b45793119765ccd3544d71f35f0472be",
    "clip 13": "0033700bce7ec83d21694a339f6cd610",
    "clip 22": "0a6325a7e0cb65be21a99ce8f5533bdb",
    "clip 26": "45eedc1d59779a38880a5a09a2bfaf02",
    "clip 32": "74715e515bc61500a0cc6db799e09430",
}
FUNCTIONS = "7fb14f9097fde2ae578d076cddf9019e"
SAME_VERSIONS = (np.__version__, cv2.__version__) == ("2.2.6", "4.11.0")  # those of requirements.txt
ON_X86 = platform.machine().lower() in ("x86_64", "amd64")


# The functions


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_subnormal=False)


@given(floats(-700, 700))
def test_exp(x: float):
    assert float(portable.exp(x)) == pytest.approx(math.exp(x), rel=8e-16)
    single = np.float32(x / 8)
    found = portable.exp(single)
    assert found.dtype == np.float32
    assert float(found) == pytest.approx(math.exp(float(single)), rel=3e-7)


def test_exp_at_its_limits():
    found = portable.exp(np.array([-np.inf, -1e6, -746.0, 0.0, 709.0, 1e6]))
    np.testing.assert_allclose(found, [0, 0, 0, 1, math.exp(709), math.exp(709)], rtol=1e-15)
    assert portable.exp(np.array([-200, 0, 200], np.float32)).tolist() == pytest.approx([0, 1, math.exp(88)], rel=3e-7)


@given(floats(1e-300, 1e300))
def test_log(x: float):
    assert float(portable.log(x)) == pytest.approx(math.log(x), rel=7e-16, abs=1.4e-16)


@given(floats(0, 1), floats(0.1, 3))
def test_power(base: float, exponent: float):
    assert float(portable.power(base, exponent)) == pytest.approx(base**exponent, abs=5e-16)


@given(floats(-1e5, 1e5))
def test_sine_and_cosine(angle: float):
    assert float(portable.sin(angle)) == pytest.approx(math.sin(angle), rel=0, abs=3.4e-16)
    assert float(portable.cos(angle)) == pytest.approx(math.cos(angle), rel=0, abs=3.4e-16)
    assert np.isnan(portable.sin(np.array([np.nan, angle]))).tolist() == [True, False]


@given(floats(-1e9, 1e9), floats(-1e9, 1e9))
def test_arctan2(y: float, x: float):
    assert float(portable.arctan2(y, x)) == pytest.approx(math.atan2(y + 0.0, x + 0.0), rel=0, abs=9e-16)


def test_arctan2_on_the_axes():
    y, x = np.array([0.0, 1, 0, -1, 0]), np.array([1.0, 0, -1, 0, 0])
    assert portable.arctan2(y, x).tolist() == [0, math.pi / 2, math.pi, -math.pi / 2, 0]


@given(floats(-50, 50), floats(-1e9, 1e9))
def test_tanh_and_hypot(x: float, y: float):
    assert float(portable.tanh(x)) == pytest.approx(math.tanh(x), rel=0, abs=4e-16)
    assert float(portable.hypot(x, y)) == pytest.approx(math.hypot(x, y), rel=3e-16, abs=1e-150)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 4))
def test_product_and_solve(seed: int, n: int, columns: int):
    rng = np.random.default_rng(seed)
    left, right = rng.normal(size=(n + 3, n)), rng.normal(size=(n, columns))
    np.testing.assert_allclose(portable.product(left, right), left @ right, atol=1e-13)
    matrix = left.T @ left + np.eye(n)
    before = matrix.copy()
    np.testing.assert_allclose(matrix @ portable.solve(matrix, right), right, atol=1e-10)
    np.testing.assert_array_equal(matrix, before)


def test_float32_stays_float32():
    x = np.linspace(0.1, 1, 5, dtype=np.float32)
    one = (portable.exp, portable.log, portable.sin, portable.cos, portable.tanh)
    results = [f(x) for f in one] + [portable.power(x, 0.6), portable.arctan2(x, x), portable.hypot(x, x)]
    assert {result.dtype for result in results} == {np.dtype(np.float32)}


def test_the_functions_have_the_recorded_bits():
    """On every processor, also on others than x86."""
    assert functions_checksum() == FUNCTIONS


def test_opencv_is_as_before_after_rendering():
    before = cv2.useOptimized(), cv2.ipp.useIPP()
    with portable.plain_opencv():
        assert not cv2.useOptimized() and not cv2.ipp.useIPP()
        with pytest.raises(ZeroDivisionError), portable.plain_opencv():
            raise ZeroDivisionError
        assert not cv2.useOptimized() and not cv2.ipp.useIPP()
    assert (cv2.useOptimized(), cv2.ipp.useIPP()) == before
    cv2.ipp.setUseIPP(False)
    try:
        with portable.plain_opencv():
            pass
        assert not cv2.ipp.useIPP()
    finally:
        cv2.ipp.setUseIPP(before[1])


# The frames


@pytest.mark.skipif(not SAME_VERSIONS, reason="recorded with the versions of NumPy and OpenCV of requirements.txt")
@pytest.mark.skipif(not ON_X86, reason="OpenCV blurs with fused multiply-adds everywhere but on x86")
def test_frames_have_the_recorded_bytes():
    assert frames_checksums() == RECORDED


@pytest.mark.skipif(not ON_X86, reason="the variables that switch code off are those of x86")
def test_frames_are_the_same_without_any_code_for_newer_processors():
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "NPY_DISABLE_CPU_FEATURES": " ".join(np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])),
        "OPENCV_CPU_DISABLE": "AVX512-SKX,AVX2,FP16,AVX,SSE4.2,SSE4.1,SSSE3",
        "OPENCV_IPP": "disabled",
        "OPENBLAS_CORETYPE": "Prescott",
        "JSIMD_FORCENONE": "1",  # the JPEG encoder
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.portable_frames"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == (RECORDED if SAME_VERSIONS else frames_checksums())


# What the renderer may call

# Functions of NumPy that have other code on some processors, but whose results are exact or rounded correctly
EXACT = {"absolute", "add", "argmax", "argmin", "conjugate", "divide", "equal", "floor_divide", "fmax", "fmin", "frexp"}
EXACT |= {"greater", "greater_equal", "isfinite", "isinf", "isnan", "ldexp", "less", "less_equal", "logical_and"}
EXACT |= {"logical_not", "logical_or", "logical_xor", "maximum", "minimum", "multiply", "negative", "not_equal", "sign"}
EXACT |= {"square", "subtract", "sqrt", "rint", "floor", "ceil", "trunc"}
# Those that add in an order of their own, or that call the C library
OTHERS = {"dot", "vdot", "inner", "matmul", "tensordot", "einsum", "convolve", "correlate", "linalg", "fft", "hypot"}
OTHERS |= {"angle", "polyfit", "cov", "corrcoef", "logaddexp", "float_power", "kron", "trapezoid", "math"}


def calls_that_may_differ(source: str) -> list[str]:
    """What a file uses that can give other bits on another processor: functions, `@`, and powers other than squares."""
    by_processor = {name for name, of in np.lib.introspect.opt_func_info().items() if is_dispatched(of)} - EXACT
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            is_numpy = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np"
            if (is_numpy and name in by_processor | OTHERS) or name == "math":
                found.append(f"line {node.lineno}: {name}")
        elif isinstance(node, ast.BinOp | ast.AugAssign):
            exact_power = isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant) and node.right.value == 2
            if isinstance(node.op, ast.MatMult) or (isinstance(node.op, ast.Pow) and not exact_power):
                found.append(f"line {node.lineno}: {type(node.op).__name__}")
    return found


def is_dispatched(by_type: dict) -> bool:
    return any("AVX" in of["available"] for of in by_type.values())


@pytest.mark.skipif(not ON_X86, reason="which functions have such code is known for x86")
def test_the_renderer_calls_nothing_that_differs():
    files = sorted(Path(dataset.__file__).parent.glob("*.py"))
    assert len(files) > 15
    found = {path.name: calls_that_may_differ(path.read_text(encoding="utf-8")) for path in files}
    del found["portable.py"]
    assert not {name: calls for name, calls in found.items() if calls}
