"""Operations on the counts and genes of one matrix."""
