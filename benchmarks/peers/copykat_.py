"""CopyKAT (doi:10.1038/s41587-020-00795-2) as its Python port, which has R's defaults.

A cell is called where the port says `aneuploid`, at low confidence too. Normal cells are declared
to it where author labels are at hand, else it finds them itself, as by default. Its heat map needs
Cairo, which a machine may lack; nothing is drawn here, so the two modules of that are left out.
"""

from __future__ import annotations

import sys
import types

import pandas as pd
from benchmarks.peers.judging import Bools, Sample, run


def without_drawing() -> None:
    pheatmap, scales = types.ModuleType("pheatmap"), types.ModuleType("scales")
    pheatmap.__dict__.update(colorRampPalette=None, pheatmap=None)
    scales.__dict__["brewer_pal"] = lambda *_: lambda _n: []
    sys.modules.update(pheatmap=pheatmap, scales=scales)


def judge(sample: Sample) -> dict[str, Bools]:
    from copykat import copykat

    counts = pd.DataFrame(
        sample.counts.T.toarray(), index=sample.genes.index, columns=sample.barcodes
    )
    normal = list(sample.barcodes[sample.reference]) if sample.has_labels else None
    result = copykat(counts, norm_cell_names=normal, plot_genes=False, n_cores=1)
    prediction = result.prediction.set_index("cell.names")["copykat.pred"].reindex(sample.barcodes)
    return {"aneuploid": prediction.str.contains("aneuploid").to_numpy(bool)}


if __name__ == "__main__":
    without_drawing()
    run(judge)
