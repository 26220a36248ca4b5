"""Exact nearest vectors by faiss, one query at a time on one thread, on generated vectors that are left as files.

knn.py FOLDER VECTORS DIMENSIONS QUERIES   needs numpy and faiss-cpu; prints one line of JSON: seconds of processor time of each round of
                                           queries, and what was found
"""

import json
import sys
import time
from pathlib import Path

import faiss
import numpy as np

ROUNDS = 5


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("float32")


def main():
    folder, (vectors, dimensions, queries) = Path(sys.argv[1]), map(int, sys.argv[2:5])
    random = np.random.default_rng(7)
    # As texts do, vectors gather: around a thousand middles.
    middles = random.normal(size=(1000, dimensions))
    around = lambda n: unit(middles[random.integers(0, 1000, n)] + random.normal(size=(n, dimensions)))
    base, asked = around(vectors), around(queries)
    base.tofile(folder / "base.f32")
    asked.tofile(folder / "queries.f32")
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(dimensions)
    index.add(base)
    seconds = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        found = [index.search(asked[i : i + 1], 10)[1][0].tolist() for i in range(queries)]
        seconds.append(time.process_time() - begin)
    print(json.dumps({"version": faiss.__version__, "seconds": seconds, "found": found}))


main()
