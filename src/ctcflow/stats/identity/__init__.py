"""Compare cells with normal cell types: reference profiles and likelihoods."""
