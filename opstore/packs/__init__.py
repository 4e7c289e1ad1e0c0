"""Packed months: the files of old operations in one SQLite file a month, beside the folder of operations, byte for byte.

A loose file always wins over a packed one of the same name. `Library` is the folder of operations with what is packed behind it:
reading looks there second, and any change first brings the operation back as loose files. docs/format.md has the format.
"""

from opstore.packs.library import FOLDER, Library, Packs

__all__ = ["FOLDER", "Library", "Packs"]
