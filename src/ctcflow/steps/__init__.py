"""One module per step of the workflow: AnnData in, AnnData out."""
