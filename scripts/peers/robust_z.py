"""Robust z-scores by a sorted array, as one writes it with numba: binary search, moves in the window, and for the MAD a walk outwards from the
median.

robust_z.py SERIES LENGTH WIDTH   needs numpy and numba; prints one line of JSON: points, seconds of each run on the processor, and the sum
of the first series' scores
"""

import json
import math
import sys
import time

import numba
import numpy as np

RUNS = 3
NORMAL = 1.482602218505602
CAP = 20.0


@numba.njit
def table(series, length):
    """A daily wave with noise, the same numbers that our program makes: xorshift, sums of twelve."""
    state = np.uint64(0x9E3779B97F4A7C15)
    values = np.empty((series, length))
    for row in range(series):
        for t in range(length):
            noise = 0.0
            for _ in range(12):
                state ^= state << np.uint64(13)
                state ^= state >> np.uint64(7)
                state ^= state << np.uint64(17)
                noise += float(state >> np.uint64(11)) / 9007199254740992.0
            values[row, t] = 50.0 + 10.0 * math.sin(t / 1440.0 * 2.0 * math.pi) + (noise - 6.0)
    return values


@numba.njit
def middle(window, n):
    return window[n // 2] if n % 2 else 0.5 * window[n // 2 - 1] + 0.5 * window[n // 2]


@numba.njit
def deviation(window, n, centre):
    """The median of the distances from the centre: the nearest half, taken one by one from both sides."""
    left, right = n // 2 - 1, n // 2
    before = last = 0.0
    for _ in range(n // 2 + 1):
        near_left = centre - window[left] if left >= 0 else np.inf
        near_right = window[right] - centre if right < n else np.inf
        before = last
        if near_left <= near_right:
            last = near_left
            left -= 1
        else:
            last = near_right
            right += 1
    return last if n % 2 else 0.5 * before + 0.5 * last


@numba.njit
def robust_z(values, width, scores):
    window = np.empty(width)
    for row in range(values.shape[0]):
        x = values[row]
        n = 0
        for i in range(x.size):
            if n == width:
                at = np.searchsorted(window[:n], x[i - width])
                for k in range(at, n - 1):
                    window[k] = window[k + 1]
                n -= 1
            at = np.searchsorted(window[:n], x[i])
            for k in range(n, at, -1):
                window[k] = window[k - 1]
            window[at] = x[i]
            n += 1
            if n < 3:
                scores[row, i] = 0.0
                continue
            centre = middle(window, n)
            scale = NORMAL * deviation(window, n, centre)
            distance = x[i] - centre
            scores[row, i] = 0.0 if distance == 0.0 else min(max(distance / scale, -CAP), CAP)


series, length, width = map(int, sys.argv[1:])
values = table(series, length)
scores = np.empty_like(values)
robust_z(values[:1, : 2 * width], width, scores[:1, : 2 * width])
seconds = []
for _ in range(RUNS):
    begin = time.process_time()
    robust_z(values, width, scores)
    seconds.append(time.process_time() - begin)
print(json.dumps({"points": values.size, "seconds": seconds, "first_series": scores[0].sum()}))
