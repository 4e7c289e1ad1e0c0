"""Money: what operations cost, those that are gone too, and what may be spent; what is unknown is never taken for nothing."""
