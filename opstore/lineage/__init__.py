"""Operations that came of one another: families of what was made from what, and a branch of one run again on another image."""
