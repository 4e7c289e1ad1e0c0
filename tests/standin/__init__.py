"""The inside of the stand-in of Replicate's API: what it knows, and the files it hands out."""
