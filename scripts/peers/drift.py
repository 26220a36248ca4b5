"""Drift statistics by the peers, on generated columns that are left as files for others to measure on.

drift.py FOLDER COLUMNS ROWS PEER...   needs numpy, scipy and numba; prints one line of JSON: seconds of each run, by peer
"""

import json
import sys
import time
from pathlib import Path

import numba
import numpy as np
from scipy import stats

RUNS = 3


def column(number, rows, is_current):
    """Five kinds of columns in turn; most current ones are shifted a little."""
    random = np.random.default_rng(1000 + 2 * number + is_current)
    shift = 0.02 * (number % 7) if is_current else 0.0
    kinds = [
        lambda: random.normal(shift, 1, rows),
        lambda: random.lognormal(shift, 0.7, rows),
        lambda: random.gamma(2 + shift, 1, rows),
        lambda: np.round(random.exponential(1 + shift, rows), 2),
        lambda: random.integers(0, 100, rows).astype(float),
    ]
    return kinds[number % 5]()


def stability(reference, current, edges):
    shares = [np.bincount(np.searchsorted(edges, x, side="left"), minlength=len(edges) + 1) / x.size for x in (reference, current)]
    p, q = (np.maximum(s, 1e-4) for s in shares)
    return float(((q - p) * np.log(q / p)).sum())


def by_scipy(reference, current):
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, 11)[1:-1]))
    return [
        float(stats.ks_2samp(reference, current, method="asymp").statistic),
        float(stats.wasserstein_distance(reference, current)),
        stability(reference, current, edges),
    ]


@numba.njit
def walk(a, b):
    i = j = 0
    largest = area = 0.0
    at = min(a[0], b[0])
    while i < a.size or j < b.size:
        value = a[i] if j >= b.size or (i < a.size and a[i] <= b[j]) else b[j]
        area += abs(i / a.size - j / b.size) * (value - at)
        while i < a.size and a[i] == value:
            i += 1
        while j < b.size and b[j] == value:
            j += 1
        largest = max(largest, abs(i / a.size - j / b.size))
        at = value
    return largest, area


def by_sorting_once(reference, current):
    a, b = np.sort(reference), np.sort(current)
    largest, area = walk(a, b)
    edges = np.unique(np.quantile(a, np.linspace(0, 1, 11)[1:-1]))
    counts = [np.diff(np.concatenate([[0], np.searchsorted(x, edges, side="right"), [x.size]])) / x.size for x in (a, b)]
    p, q = (np.maximum(c, 1e-4) for c in counts)
    return [largest, area, float(((q - p) * np.log(q / p)).sum())]


@numba.njit
def count_into(values, low, scale, counts):
    for i in range(values.size):
        place = (values[i] - low) * scale
        cell = int(place) if place > 0 else 0
        counts[min(cell, counts.size - 1)] += 1


def histogram(reference, current):
    for values in (reference, current):
        count_into(values, -5.0, 4096 / 110.0, np.zeros(4096, np.int64))


def seconds(work, pairs, runs):
    work(*(x[:1000] for x in pairs[0]))  # compiled before it is measured
    times, results = [], []
    for _ in range(runs):
        begin = time.thread_time()  # of the processor: other work on the machine does not count
        results = [work(*pair) for pair in pairs]
        times.append(time.thread_time() - begin)
    return times, results


# What is measured, and how often.
PEERS = {"scipy": (by_scipy, 1), "sorting-once": (by_sorting_once, RUNS), "histogram": (histogram, RUNS)}


def main():
    folder, columns, rows = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    pairs = [(column(i, rows, False), column(i, rows, True)) for i in range(columns)]
    for i, pair in enumerate(pairs):
        for name, values in zip(("ref", "cur"), pair):
            values.tofile(folder / f"{name}-{i}.f64")
    report = {}
    for peer in sys.argv[4:]:
        work, runs = PEERS[peer]
        times, results = seconds(work, pairs, runs)
        report[peer] = {"seconds": times, "results": results}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
