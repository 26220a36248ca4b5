"""Sentence vectors by Python's onnxruntime and tokenizers, on generated incident texts that are left as a file.

embed.py FOLDER MODEL TEXTS THREADS   needs numpy, onnxruntime and tokenizers; prints one line of JSON: seconds of processor time of each
                                      round, one text at a time and 32 at a time, and the vectors of the first
"""

import json
import random
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

ROUNDS = 3
MAX_TOKENS = 256


def texts(n):
    """Summaries as incidents have them, of 10 to 80 words, and a long log now and then."""
    source = random.Random(7)
    metrics = ["latency_p95", "queue_depth", "gpu_utilization", "error_rate", "request_rate", "gpu_xid_errors", "replica_restarts", "drift_psi"]
    places = ["endpoint ml/iris", "pool gpu-a (gpu A100)", "node gpu-17", "dataset s3://raw:orders", "service fraud", "endpoint media/embedder"]
    what = ["up", "down", "above its bound of 400 ms", "at 3.4 times the usual value", "flat since the deployment of revision 42", "missing"]

    def one():
        part = lambda: f"{source.choice(metrics)} {source.choice(what)} on {source.choice(places)} since {source.randint(0, 23):02}:{source.randint(0, 59):02}"
        return "; ".join(part() for _ in range(source.choice([1, 2, 2, 3, 4, 6])))

    return [one() for _ in range(n)]


def main():
    folder, model, n, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    asked = texts(n)
    (folder / "texts.json").write_text(json.dumps(asked))
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model / "model.onnx"), options, providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}

    def embed(some):
        read = tokenizer.encode_batch(some)
        inputs = {
            "input_ids": np.array([r.ids for r in read], dtype=np.int64),
            "attention_mask": np.array([r.attention_mask for r in read], dtype=np.int64),
            "token_type_ids": np.array([r.type_ids for r in read], dtype=np.int64),
        }
        tokens = session.run(None, {k: v for k, v in inputs.items() if k in wanted})[0]
        mask = inputs["attention_mask"][:, :, None].astype(np.float32)
        mean = (tokens * mask).sum(axis=1) / mask.sum(axis=1)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    embed(asked[:8])
    runs = {}
    vectors = {}
    for batch in (1, 32):
        runs[batch] = []
        for _ in range(ROUNDS if batch == 1 else 1):
            begin = time.process_time()
            found = [embed(asked[i : i + batch]) for i in range(0, n, batch)]
            runs[batch].append(time.process_time() - begin)
        vectors[batch] = np.concatenate(found)[:20].tolist()
    print(json.dumps({"version": onnxruntime.__version__, "one": runs[1], "batched": runs[32], "vectors": vectors[1], "batched_vectors": vectors[32]}))


main()
