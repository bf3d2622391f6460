"""kopya: a caller of copy number from expression alone that decides on its own, in Python.

A cell is called where it says `tumor`. Once as it is, and once with the normal cells declared.
"""

from __future__ import annotations

from benchmarks.peers.judging import Bools, Sample, as_anndata, run


def judge(sample: Sample) -> dict[str, Bools]:
    import kopya

    verdicts = {}
    for way, options in {
        "alone": {},
        "reference": {"reference_key": "reference", "reference_cat": "normal"},
    }.items():
        adata = as_anndata(sample)
        kopya.tl.cnv(adata, **options)
        verdicts[way] = (adata.obs["cnv_class"].astype(str) == "tumor").to_numpy(bool)
    return verdicts


if __name__ == "__main__":
    run(judge)
