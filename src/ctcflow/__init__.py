"""Find, characterise and count circulating tumour cells in single-cell data of blood."""

__version__ = "0.2.0"
