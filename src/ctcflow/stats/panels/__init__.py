"""Tumour panels, decoy panels, partners, phenotypes and tissue of origin."""
