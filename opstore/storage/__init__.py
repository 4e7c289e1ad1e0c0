"""What is kept and how: durable bytes, names, operations, and the store over them; what is acknowledged here is on the disk."""
