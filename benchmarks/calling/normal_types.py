"""What each author type of the reference profiles is, and which are left out and why.

Rules on `tissue|author label`; the first that matches decides. The whole list, as it came out, is
`resources/genes/normal_types.tsv`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

BLOOD = ("ImmuneCensus_HCA", "PBMCs_COVID19", "MGH_Broad", "Spleen_HCA")
"""Studies of blood, marrow and spleen: their leukocytes come without RNA of a tissue."""
_CLEAN = ("Lung_HCA", "Lung_Control_Adams")
"""Studies of tissue whose leukocytes carry little of it."""

_LEFT_OUT = (
    (r"Neoplastic", "a tumour is no normal cell"),
    (r"Brain_Darmanis\|(Myeloid|Vascular)|Testis_Guo\|(Macro|Endo)|Prostate_Henry\|leuk", "mixed"),
    (r"MGH_Broad\|T\.cell$|SC\.\.\.Eos", "carries RNA of other cells"),
    (r"BALF\|", "carries RNA of the airway"),
    (
        r"tropho",
        "as near to dividing lymphocytes as to any tumour, and in no tube but of pregnancy",
    ),
    (r"Skin_HCA\|Melanocytes\.2", "carries keratins"),
    (
        r"Descartes\|(Lymphoid|Myeloid|Vascular|Lymphatic|Stromal|Ciliated|Goblet|Squamous"
        r"|Mesothelial|Erythro|Stellate|Hematopoietic)",
        "fetal nuclei that carry RNA of other cells; adult profiles exist",
    ),
)

_BLOOD_TYPES = (
    (r"[Mm]egakaryocyte", "Megakaryocyte", "megakaryocyte"),
    (r"[Pp]latelet", "Platelet", "megakaryocyte"),
    (r"RBC|[Ee]rythro|Erthyroid", "Erythroid", "erythroid"),
    (r"hematopoietic.stem|CD34\+|precursor.B|pro\.B", "Progenitor", "progenitor"),
    (r"[Mm]ast|Baso", "Mast", "mast"),
    (r"[Nn]eutrophil|[Gg]ranulocyte", "Neutrophil", "granulocyte"),
    (r"plasma(?!cyt)|Plasma(?!cyt)|plasmablast|PB$|Antibody", "Plasma", "plasma"),
    (r"pDC|plasmacytoid", "pDC", "dendritic"),
    (r"cDC|\|DC|[Dd]endritic|DCs?\d?$|Macrophages\.DC|conventional.dend", "Dendritic", "dendritic"),
    (r"[Mm]acroph|Hofbauer|[Mm]icrogl", "Macrophage", "dendritic"),
    (r"[Mm]onocyte|Myeloid$", "Monocyte", "monocyte"),
    (r"NK|natural.killer|ILC|innate", "NK", "NK"),
    (r"CD8|[Cc]ytotoxic|MAIT|gd\.T|gamma\.delta", "CD8 T", "T"),
    (
        r"T\.cell|\|T$|T\.cells$|CD4|T\.helper|Regulatory|t_cell|B\.T\.NK|Lymphoid$",
        "CD4 T",
        "T",
    ),
    (r"B\.cells?$|\|B$|Class.switched|B\.cell\.\d|mantle|follicular|hypermutation", "B", "B"),
)

_OTHER_TYPES = (
    (r"LSEC|[Ll]ymph.*vessel|[Ll]ymphatic", "Endothelial", "stroma"),
    (r"[Ee]ndotheli|blood.vessel|VE\.|Vascular\.EC", "Endothelial", "stroma"),
    (
        r"[Pp]ericyte|[Ss]mooth|SMC|perivascular|Myoid|muscle\.cell$|Mesangial",
        "Pericyte/smooth muscle",
        "stroma",
    ),
    (r"Adipocyte", "Adipocyte", "stroma"),
    (r"Mesothelial", "Mesothelial", "stroma"),
    (r"[Ff]ibroblast|[Ss]troma|[Ss]tellate|[Mm]esenchym|Leydig", "Fibroblast", "stroma"),
    (r"glia|Astro|Muller|OPC|Oligo|schwann|Heart_HCA\|Neuronal", "Schwann/glia", "stroma"),
    (r"Cardiomyo|skeletal|MuSC", "Muscle", "stroma"),
    (r"ENS.neurons|Neuron$|retinal|amacrine", "Neuron", "neuron"),
    (r"Melanocyt", "Melanocyte", "melanocyte"),
    (r"[Nn]euroendocrine|PNEC|Enteriendocrine", "Neuroendocrine", "endocrine"),
    (r"pancreatic\.[AD]|type\.B\.panc|alpha$|beta$|delta$|epsilon|gamma$", "Islet", "endocrine"),
    (r"Keratinocyte", "Keratinocyte", "skin"),
    (r"Esophagus_HCA\|(stratified|suprabasal|upper|basal)|Squamous|hillock", "Squamous", "skin"),
    (r"Basal\.cycling", "Cycling basal", "epithelium"),
    (r"[Bb]asal", "Basal", "skin"),
    (r"[Cc]iliated|Deuterosomal", "Ciliated", "epithelium"),
    (r"ATI|alveolar", "Alveolar", "epithelium"),
    (r"Hep\.|Hepatoblast", "Hepatocyte", "epithelium"),
    (
        r"Enterocyte|Goblet|Paneth|Progenitor|TA$|Stem|Parietal",
        "Gastrointestinal",
        "epithelium",
    ),
    (r"[Dd]uctal|Cholangio|acinar|duct\.cell", "Ductal and acinar", "epithelium"),
    (
        r"luminal|[Cc]lub|Secretory|glandular|submucosal|Ionocytes|Epithelial",
        "Secretory",
        "epithelium",
    ),
    (r"Metanephric|Ureteric", "Kidney", "epithelium"),
    (r"Testis_Guo", "Germ cell", "germ"),
)


class Kind(NamedTuple):
    """What an author type is."""

    type: str
    group: str
    left_out: str
    """Why it takes no part; empty where it does."""


def kind(tissue: str, label: str) -> Kind:
    """Type and group of an author type.

    Raises
    ------
    KeyError
        No rule matches.
    """
    name = f"{tissue}|{label}"
    for pattern, why in _LEFT_OUT:
        if re.search(pattern, name):
            return Kind("", "", why)
    for pattern, type_, group in _BLOOD_TYPES:
        if re.search(pattern, name):
            return Kind(type_, group, _not_blood(tissue, label, type_))
    for pattern, type_, group in _OTHER_TYPES:
        if re.search(pattern, name):
            return Kind(type_, group, "")
    raise KeyError(name)


def _not_blood(tissue: str, label: str, type_: str) -> str:
    """Why a leukocyte of a tissue is left out: with RNA of the tissue it looks like a tumour."""
    rare = type_ in ("Megakaryocyte", "Platelet", "Erythroid", "Progenitor", "Mast")
    if tissue in BLOOD or tissue in _CLEAN:
        return ""
    if tissue == "Liver_HCA" and (type_ == "Macrophage" or rare):
        return ""
    if tissue == "Decidua_HCA" and "natural.killer" in label:
        return ""
    if rare and tissue not in ("Skin_HCA", "Pancreas_Baron", "Muscle_DeMicheli"):
        return ""
    return "a leukocyte with RNA of its tissue; those of blood are there"
