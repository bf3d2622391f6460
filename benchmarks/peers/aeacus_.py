"""aeacus: a classifier of malignant cells whose trained model comes in its package.

Raw counts are normalised by aeacus itself; a cell is called where it says `Malignant`.
"""

from __future__ import annotations

from benchmarks.peers.judging import Bools, Sample, as_anndata, run


def judge(sample: Sample) -> dict[str, Bools]:
    from aeacus import Profiler

    adata = as_anndata(sample)
    profiled = Profiler(test_input=adata, norm_type="cpm_log1p", device="cpu").load().profile()
    return {"malignant": (profiled.obs["malignancy_call"] == "Malignant").to_numpy(bool)}


if __name__ == "__main__":
    run(judge)
