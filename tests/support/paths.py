"""The folders that tests name."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PROJECT = TESTS.parent
RECORDED = TESTS / "recorded"
SHARED = PROJECT.parent / "shared"  # beside the project on its developers' machines
GOLDEN = SHARED / "golden"
