"""CellTypist (doi:10.1126/science.abl5197): an atlas classifier whose models are downloads.

With its model of immune cells a cell would be called where the best label is `Epithelial cells`.
The package has no model and its first use fetches all of them, which is not done here.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.judging import Bools, Sample, log_normalised, run

MODEL = "Immune_All_Low.pkl"


def judge(sample: Sample) -> dict[str, Bools]:
    import celltypist
    from celltypist import models

    if not (Path(models.models_path) / MODEL).exists():
        raise FileNotFoundError(f"{MODEL}: not in the package; the first use would download it.")
    annotated = celltypist.annotate(log_normalised(sample), model=MODEL)
    label = annotated.predicted_labels["predicted_labels"]
    return {"epithelial": (label == "Epithelial cells").to_numpy(bool)}


if __name__ == "__main__":
    run(judge)
