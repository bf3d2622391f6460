"""Which normal cell a cell is like: reference profiles and likelihoods."""
