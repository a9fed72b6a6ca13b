"""In which order the files of tests are run, and by which process, so that all processes end at about the same time."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.support.paths import TESTS
from Utils.work.machine import cores

# They need TensorFlow. One process runs them all, because each process that does loads it and traces the networks anew
KERAS = (
    "engine/test_engine.py",
    "ablation/test_table.py",
    "softnet/test_network.py",
    "steps/test_define_model.py",
)

# They need Chromium, which takes two seconds to start
BROWSER = (
    "report/test_report_browser.py",
    "report/test_report_player.py",
    "report/test_report_review.py",
    "report/test_report_still.py",
)

# The longest of the others; all that are not named here take less than five seconds
LONGEST = (
    "robustness/test_faults.py",  # 40 seconds
    "methods/test_command.py",
    "robustness/test_resume.py",
    "tvl1/test_tvl1.py",
    "robustness/test_faults_video.py",
    "steps/test_main_datasets.py",
    "robustness/test_bad_input.py",
    "steps/test_main.py",
    "work/test_cluster.py",
    "own_video/test_own_video.py",
    "own_video/test_kept.py",
    "steps/test_demo.py",
    "robustness/test_fuzz.py",
    "evaluation/test_cross_checks.py",
    "own_video/test_second_look_command.py",
    "own_video/test_second_look_cuts.py",
    "across/test_train_and_test.py",
    "across/test_trained_people.py",
    "study/test_study_runs.py",
    "datasets/test_casme3_runs.py",
    "evaluation/test_metrics.py",
    "study/test_correct_then_train.py",
    "synthetic/test_portable.py",
    "steps/test_train_evaluate.py",
    "synth_run/test_synth_run.py",
    "synthetic/test_synthetic.py",
    "synth_run/test_synth_run_command.py",
    "evaluation/test_recount.py",
    "evaluation/test_intervals.py",
    "work/test_cache_parallel.py",  # 5 seconds
)


def processes() -> int:
    """How many processes run tests: one more than cores, because some tests wait for a browser or another process."""
    return cores() + 1


def sort(items: list[pytest.Item]) -> None:
    """Those with TensorFlow first, then those with a browser, then the longest files."""
    places = {TESTS / name: place for place, name in enumerate((*KERAS, *BROWSER, *LONGEST))}
    items.sort(key=lambda item: places.get(item.path, len(places)))


class Scheduling(LoadFileScheduling):
    """A process gets whole files. The files of `KERAS` stay together, and so do those of `BROWSER`."""

    def _split_scope(self, nodeid: str) -> str:
        path = super()._split_scope(nodeid)
        return next((files[0] for files in (KERAS, BROWSER) if Path(path).as_posix().endswith(files)), path)
