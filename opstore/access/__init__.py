"""Who somebody is and what they may do: what has no entry here is refused."""
