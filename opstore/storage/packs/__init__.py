"""Packed months: the files of old operations in one SQLite file a month, beside the folder of operations, byte for byte.

A loose file always wins over a packed one of the same name. `Library` is the folder of operations with what is packed behind it:
reading looks there second, and any change first brings the operation back as loose files. docs/format.md has the format.
"""

from opstore.storage.packs.library import FOLDER, Library, Packs

#: Months that ended longer ago than this many days are packed, unless somebody says otherwise.
DAYS = 90
#: The lock in the data folder of whoever adds to packs, or takes one away: one at a time.
PACKING = "compress"

__all__ = ["DAYS", "FOLDER", "PACKING", "Library", "Packs"]
