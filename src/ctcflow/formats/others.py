"""Files that are not read: what each is, and the command that makes it readable.

Standard library only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_R: Final = (
    'DropletUtils::write10xCounts("{stem}", Seurat::GetAssayData(OBJECT[["RNA"]], "counts"),'
    ' version = "3")` writes a folder that is read'
)
_ARCHIVE: Final = "an archive: unpack it with `{command}` and give what is in it"
_PACKED: Final = "packed: unpack it with `{command}`"
_READS: Final = "reads, not counts: count them first, with Cell Ranger, STARsolo, alevin-fry or kb"
_FRAME: Final = "`python -c \"import pandas; pandas.{reader}('{name}').to_csv('{stem}.csv.gz')\"`"

_BY_ENDING: Final[dict[tuple[str, ...], str]] = {
    # R: Seurat, SingleCellExperiment, data.table
    (".rds", ".rds.gz"): "an R object: in R, `" + _R.replace("OBJECT", 'readRDS("{name}")'),
    (".qs",): "an R object: in R, `" + _R.replace("OBJECT", 'qs::qread("{name}")'),
    (".rdata", ".rda", ".robj"): 'an R workspace: in R, `load("{name}"); ' + _R,
    (".cloupe", ".vloupe"): (
        "a file of Loupe Browser: give filtered_feature_bc_matrix or its .h5 of the same run"
    ),
    (".genes.results", ".isoforms.results"): (
        "a table of RSEM for one cell: `cut -f1,5 {name} > CELL.tsv` for each cell (gene and"
        " expected_count), give the folder of these, and set ingest.counts to expected"
    ),
    (".h5seurat",): (
        'a file of SeuratDisk: in R, `SeuratDisk::Convert("{name}", dest = "h5ad")` writes an'
        " .h5ad that is read"
    ),
    (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"): _ARCHIVE.format(
        command="mkdir {stem} && tar -xf {name} -C {stem}"
    ),
    (".zip",): _ARCHIVE.format(command="unzip {name} -d {stem}"),
    (".7z",): _ARCHIVE.format(command="7z x {name}"),
    (".rar",): _ARCHIVE.format(command="unrar x {name}"),
    (".bz2",): _PACKED.format(command="bunzip2 {name}"),
    (".xz",): _PACKED.format(command="unxz {name}"),
    (".zst",): _PACKED.format(command="unzstd {name}"),
    (".bam", ".cram", ".sam", ".fastq", ".fastq.gz", ".fq", ".fq.gz", ".sra", ".bus"): _READS,
    (".xlsx", ".xls", ".ods"): (
        "a spreadsheet, in which gene names such as MARCH1 become dates: give the text file that"
        " it was made from, or save the sheet as .csv"
    ),
    (".zarr",): (
        'a Zarr folder: `python -c "import anndata;'
        " anndata.read_zarr('{name}').write_h5ad('{stem}.h5ad')\"` writes an .h5ad that is read"
    ),
    (".parquet",): f"a Parquet table: {_FRAME.replace('{reader}', 'read_parquet')} writes a table",
    (".feather",): f"a Feather table: {_FRAME.replace('{reader}', 'read_feather')} writes a table",
    (
        ".npz",
        ".npy",
    ): "a file of numpy without names: write its matrix with those of cells and genes",
    (".pkl", ".pickle"): "a pickle, which could run any code: write its table or AnnData to a file",
    # BD Rhapsody
    (".st", ".st.gz"): (
        "a long table of BD Rhapsody: give `..._RSEC_MolsPerCell.csv` or the folder that"
        " `..._RSEC_MolsPerCell_MEX.zip` unpacks to"
    ),
}
_BY_NAME: Final[dict[str, str]] = {
    # Cell Ranger; `possorted` and others end as reads do
    "molecule_info.h5": (
        "Cell Ranger's table of molecules: give filtered_feature_bc_matrix.h5 of the same folder"
    ),
    # salmon alevin
    "quants_mat.gz": "alevin's binary matrix: run `salmon alevin` again with `--dumpMtx`",
    # STAR --quantMode GeneCounts, one cell a file
    "readspergene.out.tab": (
        "STAR's counts of one cell for three kinds of library: `cut -f1,2 {name} > CELL.tsv` (-f1,3"
        " or -f1,4 if stranded) for each cell, and give the folder of these"
    ),
    # salmon, one cell a file
    **dict.fromkeys(
        ("quant.sf", "quant.sf.gz"),
        "counts of transcripts of one cell: in R, `tximport` sums those of all cells to genes;"
        " write its `counts` as a table",
    ),
    # kb-python, workflow nac
    **dict.fromkeys(
        ("genes.mature.mtx", "genes.nascent.mtx", "genes.ambiguous.mtx", "genes.nucleus.mtx"),
        "one of several matrices of kb: `kb count ... --sum=total` adds them up, to"
        " cells_x_genes.total.mtx",
    ),
}


def what_it_is(name: str) -> str | None:
    """What a file is that cannot be read, and what to do; None where that is not known.

    Parameters
    ----------
    name
        Name of a file or folder.
    """
    lower = name.lower()
    for known, said in _BY_NAME.items():
        if lower.endswith(known):
            return said.replace("{name}", name)
    fitting = [end for ends in _BY_ENDING for end in ends if lower.endswith(end)]
    if not fitting:
        return None
    ending = max(fitting, key=len)
    said = next(said for ends, said in _BY_ENDING.items() if ending in ends)
    stem = Path(name[: -len(ending)]).name or "data"
    return said.replace("{name}", name).replace("{stem}", stem)
