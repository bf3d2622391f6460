"""ikarus (doi:10.1186/s13059-022-02683-1): gene sets, a core model and propagation of labels.

Neither the gene sets nor the core model are in its package; without them it stops and its message
goes into the table.
"""

from __future__ import annotations

import tempfile

import numpy as np
from benchmarks.peers.judging import Bools, Sample, log_normalised, run


def judge(sample: Sample) -> dict[str, Bools]:
    from ikarus.classifier import Ikarus

    with tempfile.TemporaryDirectory() as folder:
        model = Ikarus(signatures_gmt="signatures.gmt", out_dir=folder)
        model.load_core_model("core_model.joblib")
        prediction = model.predict(log_normalised(sample), sample.name)
    return {"tumour": np.asarray(prediction) == "Tumor"}


if __name__ == "__main__":
    run(judge)
