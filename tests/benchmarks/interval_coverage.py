"""How often 95 % intervals hold the truth, and how often equal methods are called different: docs/method.md, section 4.

    python -m tests.benchmarks.interval_coverage [--times 2000]

Subjects of one made-up population: 1 to 8 annotations, of which a share is found that differs between subjects (a beta
distribution, mean 1/3), and a number of false predictions that differs, too (a gamma distribution, mean 8). The truth
is the F1 of very many of them. Two equal methods have the same shares, and chance of their own. It takes some seconds.
"""

from __future__ import annotations

import argparse

import numpy as np

from Utils.evaluation.bootstrap import draw_subjects, expanded_interval, interval, two_sided_p
from Utils.evaluation.intervals import count_figures

SUBJECTS = (4, 6, 8, 14, 29)  # DEMO has 8, CASME_sq 14, SAMMLV 29


def people(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Annotations, share that is found, and mean number of false predictions of n subjects, each (n,)."""
    return rng.integers(1, 9, n), rng.beta(2, 4, n), rng.gamma(2, 4, n)


def counts(annotated: np.ndarray, share: np.ndarray, false: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """TP, FP and FN that a method gets, (n, 3)."""
    tp = rng.binomial(annotated, share)
    return np.stack([tp, rng.poisson(false), annotated - tp], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=2000, help="simulated studies for each number of subjects")
    times, rng = parser.parse_args().times, np.random.default_rng(1)
    truth = count_figures(counts(*people(400_000, rng), rng).sum(axis=0)[None])["f1"][0]
    print(f"{'subjects':>8}{'interval holds the truth':>26}{'expanded':>10}{'equal methods called different':>32}")
    for n in SUBJECTS:
        draws, held = draw_subjects(n), np.zeros(3)
        for _ in range(times):
            subjects = people(n, rng)
            first, second = (count_figures(draws @ counts(*subjects, rng))["f1"] for _ in range(2))
            for i, (low, high) in enumerate((interval(first), expanded_interval(first, n))):
                held[i] += low <= truth <= high
            low, high = expanded_interval(first - second, n)
            held[2] += two_sided_p(first - second, n) < 0.05 and not low <= 0 <= high
        shares = 100 * held / times
        print(f"{n:>8}{shares[0]:>24.0f} %{shares[1]:>8.0f} %{shares[2]:>30.1f} %", flush=True)


if __name__ == "__main__":
    main()
