"""Writes operations into the index and takes them out, inside one transaction of the caller's.

What takes time and needs no database has been done before, by `prepared`: for very many operations by who reads them.
Many new rows go in at once (`put_new`) where their seconds are free; what remains goes one by one.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from opstore.index import content_key_blocks, order, same_bytes
from opstore.index.changes import LISTED, note
from opstore.index.entry import Entry
from opstore.index.keywords import UNMARKED, names_of, own_marks, text_of
from opstore.index.observed import UNSETTLED, Broken, Observed
from opstore.index.prepared import Part, Ready, Tally, ready
from opstore.index.row_lookup import COLUMNS, entry_of_row, find, neighbours
from opstore.index.sqlite import Connection

#: Rows that stand in the way of new ones, and strays, up to which it is worth to go around them.
_FEW = 2_000
_INSERT_TEXT = "INSERT INTO body (rowid, text) VALUES (?, ?)"
_INSERT = f"INSERT INTO op ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_SELECT = f"SELECT {', '.join(COLUMNS)}, (SELECT text FROM prompt WHERE id = op.prompt) FROM op WHERE at = ?"


@dataclass(frozen=True, slots=True)
class Stored:
    """A row as it stands in the table: its number, its stamp, its entry, and its text."""

    at: int
    stamp: int
    entry: Entry
    text: str


def _number(row: Ready) -> int:
    return row.values[0]  # type: ignore[no-any-return] # as `at` has it: a million rows are sorted


def _hash(text: str) -> int:
    return zlib.crc32(text.encode()) - 2**31  # four bytes for SQLite, which counts below zero too


class Writer:
    """The rows of one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Write through a connection that is inside a transaction; `finish` before it is committed."""
        self._db = connection
        connection.learn()
        self._words, self._names = connection.words, connection.names
        self._tally = Tally()
        self._prompts: Counter[int] = Counter()
        self._prompt_ids: dict[str, int] = {}
        self._next_prompt: int = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM prompt").fetchone()[0]
        self._has_strays = bool(connection.execute("SELECT 1 FROM stray LIMIT 1").fetchone())
        self._touched: dict[str, None] = {}
        self._are_many = False
        self._has_problems = bool(connection.execute("SELECT 1 FROM problem LIMIT 1").fetchone())
        #: Operations that somebody else may have read later than the caller: to be read again.
        self.doubtful: list[str] = []

    # -- in and out ------------------------------------------------------------------------------------------------------

    def put(self, entry: Entry, stamp: int, late: bool = False) -> bool:
        """Put an operation in, in the place of what was known of it; say whether anything changed.

        With `late` it was read before the transaction began: a row that says something else stays, and is `doubtful`.
        """
        at = self.find(entry.id)
        if at is None:
            self._forget_problem(entry.id)
            self._insert(self._place(entry.id), entry, stamp)
            return True
        old = self.read(at)
        if old.entry == msgspec.structs.replace(entry, contents=()):
            if old.stamp != stamp or not stamp:
                self._touched[entry.id] = None  # what the index does not keep may be another
            if old.stamp != stamp:
                self._note_contents(entry)
                self._db.execute("UPDATE op SET stamp = ? WHERE at = ?", (stamp, at))
            return False
        if late:
            self.doubtful.append(entry.id)
            return False
        self._take_out(old)
        self._insert(at, entry, stamp)
        return True

    def put_broken(self, problem: Broken, stamp: int) -> bool:
        """Note an operation that cannot be read: it leaves the rows, and stands among the problems."""
        changed = self._remove_row(problem.id)
        values = (problem.id, problem.kind, problem.reason, stamp)
        same = self._db.execute("SELECT 1 FROM problem WHERE (id, kind, reason, stamp) = (?, ?, ?, ?)", values).fetchone()
        self._db.execute("INSERT OR REPLACE INTO problem VALUES (?, ?, ?, ?)", values)
        return changed or not same

    def remove(self, operation_id: str) -> bool:
        """Forget an operation that is no longer there; say whether it was known."""
        return bool(self._remove_row(operation_id) | self._forget_problem(operation_id))

    def count(self, tally: Tally) -> None:
        """Count rows that were made ready elsewhere."""
        self._tally.join(tally)

    def finish(self) -> None:
        """Write what was counted."""
        self._db.executemany("UPDATE word SET n = n + ? WHERE id = ?", [(n, key) for key, n in self._tally.words.items() if n])
        pairs = [(*pair, n) for pair, n in self._tally.pairs.items() if n]
        self._db.executemany("INSERT INTO pair VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n", pairs)
        changes = [(n, key) for key, n in self._prompts.items() if n]
        self._db.executemany("UPDATE prompt SET n = n + ? WHERE id = ?", changes)
        for key in (key for n, key in changes if n < 0):
            for (text,) in self._db.execute("DELETE FROM prompt WHERE id = ? AND n = 0 RETURNING text", (key,)).fetchall():
                self._db.execute("DELETE FROM prompt_hash WHERE (hash, id) = (?, ?)", (_hash(text), key))
        note(self._db, list(self._touched), self._are_many)

    def _forget_problem(self, operation_id: str) -> bool:
        return self._db.execute("DELETE FROM problem WHERE id = ?", (operation_id,)).rowcount > 0

    def _remove_row(self, operation_id: str) -> bool:
        at = self.find(operation_id)
        if at is not None:
            self._take_out(self.read(at))
        return at is not None

    def _insert(self, at: int, entry: Entry, stamp: int) -> None:
        self._touched[entry.id] = None
        row = self.ready(entry, stamp, at)
        if order.is_whole(row.values[1]):
            self._db.execute("INSERT OR REPLACE INTO stray VALUES (?, ?)", (entry.id, at))
            self._has_strays = True
        self._db.execute(_INSERT, (*row.values, self._prompt(row.prompt)))
        self._db.execute(_INSERT_TEXT, (at, row.text))
        self._note_contents(entry)

    def _note_contents(self, entry: Entry) -> None:
        content_key_blocks.put(self._db, same_bytes.keys_of(entry.contents, order.second_of(entry.id)))

    def ready(self, entry: Entry, stamp: int, at: int | None = None) -> Ready:
        """Count an entry, its new names numbered, and make its row ready for the place `at`, or for the one it would like."""
        for field, name in names_of(entry):
            self._word(field, name)
        for field in UNMARKED:
            if name := getattr(entry, field):
                self._word(field, name)
        kind = self._db.kinds.of(entry)
        self._tally.count(kind)
        return ready(entry, stamp, kind, at)

    def put_new(self, rows: Sequence[Ready]) -> list[Ready]:
        """Put in rows that were made ready, and return those whose seconds are not free, uncounted.

        A first build is such a case: no look for each whether it is there, no search for a free number.
        """
        rows = sorted(rows, key=_number)
        busy = self._busy(rows)
        free = [
            row
            for row in rows
            if busy is not None and row.values[0] // order.WIDTH not in busy and not order.is_whole(row.values[1])
        ]
        self._know_prompts(Counter(row.prompt for row in free))
        self._db.executemany(_INSERT, [(*row.values, self._prompt_ids[row.prompt]) for row in free])
        # In the order of their numbers: the full-text engine starts a new list whenever a number is less than the one before.
        self._db.executemany(_INSERT_TEXT, [(row.values[0], row.text) for row in free])
        self._note_many(free)
        if self._has_problems:
            self._db.executemany("DELETE FROM problem WHERE id = ?", [(row.id,) for row in free])
        if len(free) == len(rows):
            return []
        there = {row.at for row in free}
        left = [row for row in rows if row.at not in there]
        for row in left:
            self._tally.count(self._db.kinds.of(row.entry(self._names)), -1)
        return left

    def _busy(self, rows: Sequence[Ready]) -> set[int] | None:
        """Return the seconds in which a sorted row must look for its place, None where it is not worth to know them."""
        seconds = [row.values[0] // order.WIDTH for row in rows]
        busy = {one for one, other in itertools.pairwise(seconds) if one == other}
        if seconds:
            between = (seconds[0] * order.WIDTH, (seconds[-1] + 1) * order.WIDTH, _FEW + 1)
            taken = self._db.execute("SELECT at FROM op WHERE at >= ? AND at < ? LIMIT ?", between).fetchall()
            busy |= {at // order.WIDTH for (at,) in taken}
            strays = self._db.execute("SELECT id, at FROM stray LIMIT ?", (_FEW + 1,)).fetchall()
            if len(taken) > _FEW or len(strays) > _FEW:
                return None
            for name, at in strays:  # which stand in the way wherever they are between their second and their number's
                ends = sorted((order.second_of(name), at // order.WIDTH))
                busy |= {second for second in seconds if ends[0] <= second <= ends[1]}
        return busy

    def _note_many(self, rows: Sequence[Ready]) -> None:
        """Note the contents of new rows and that they are new; very many keys are put in order later (`deferred`)."""
        keys = [key for row in rows for key in row.keys]
        self._are_many |= len(rows) > LISTED
        if len(rows) > LISTED:
            content_key_blocks.put_off(self._db, keys)
            return
        self._touched |= dict.fromkeys(row.id for row in rows)
        content_key_blocks.put(self._db, keys)

    def _take_out(self, old: Stored) -> None:
        self._touched[old.entry.id] = None
        self._tally.count(self._db.kinds.of(old.entry), -1)
        row = self._db.execute("DELETE FROM op WHERE at = ? RETURNING prompt", (old.at,)).fetchone()
        self._prompts[row[0]] -= 1
        self._db.execute("INSERT INTO body (body, rowid, text) VALUES ('delete', ?, ?)", (old.at, old.text))
        if self._has_strays:
            self._db.execute("DELETE FROM stray WHERE id = ?", (old.entry.id,))

    # -- rows ------------------------------------------------------------------------------------------------------------

    def find(self, operation_id: str) -> int | None:
        """Return the number of an operation's row."""
        return find(self._db, operation_id, self._has_strays)

    def read(self, at: int) -> Stored:
        """Return a row."""
        row = self._db.execute(_SELECT, (at,)).fetchone()
        entry = entry_of_row(row, self._names)
        marks = self._db.kinds.of(entry).marks + own_marks(entry)
        return Stored(at, row[2], entry, text_of(entry.prompt, marks))

    def _word(self, field: str, text: str) -> int:
        number = self._words.get((field, text))
        if number is None:
            number = self._db.execute("INSERT INTO word (field, text, n) VALUES (?, ?, 0)", (field, text)).lastrowid or 0
            self._words[field, text] = number
            self._names[number] = text
        return number

    def _prompt(self, text: str) -> int:
        """Return the number of a prompt of one more row."""
        number = self._prompt_ids.get(text)
        if number is None:
            self._know_prompts({text: 1})
            return self._prompt_ids[text]
        self._prompts[number] += 1
        return number

    def _know_prompts(self, counts: Mapping[str, int]) -> None:
        """Find the numbers of the prompts of so many more rows each, or give them new ones: one question for all."""
        hashes = {text: _hash(text) for text in counts}
        # In their order, as their table is: a fifth less at a million, where all its pages are touched.
        known = self._db.execute(
            "SELECT prompt.id, text FROM json_each(?) CROSS JOIN prompt_hash ON hash = value"
            " JOIN prompt ON prompt.id = prompt_hash.id",
            (json.dumps(sorted(hashes.values())),),
        )
        self._prompt_ids.update((text, number) for number, text in known if text in counts)
        fresh = [text for text in counts if text not in self._prompt_ids]
        self._prompts.update({self._prompt_ids[text]: n for text, n in counts.items() if text in self._prompt_ids})
        numbers = range(self._next_prompt, self._next_prompt + len(fresh))
        rows = [(number, counts[text], text) for number, text in zip(numbers, fresh, strict=True)]
        self._db.executemany("INSERT INTO prompt VALUES (?, ?, ?)", rows)
        self._db.executemany("INSERT INTO prompt_hash VALUES (?, ?)", sorted((hashes[text], number) for number, _, text in rows))
        self._prompt_ids.update(zip(fresh, numbers, strict=True))
        self._next_prompt += len(fresh)

    # -- numbers ---------------------------------------------------------------------------------------------------------

    def _place(self, operation_id: str) -> int:
        """Return a free number for a new operation, between its neighbours in the order of ids; others move if there is none."""
        low, high = self._gap(operation_id)
        if high - low > 1:
            return min(max(order.wanted(operation_id), low + 1), high - 1)
        size = order.WIDTH
        while True:
            start = low // size * size
            window = self._db.execute("SELECT at, key FROM op WHERE at BETWEEN ? AND ?", (start, start + size - 1)).fetchall()
            if len(window) + 1 <= (size * 3 // 4 if size == order.WIDTH else size // 2) and low + 1 >= start:
                return self._make_room(operation_id, window, start, size)
            size *= 2

    def _make_room(self, operation_id: str, window: list[tuple[int, int | str]], start: int, size: int) -> int:
        known = {order.id_of(at, key): at for at, key in window}
        ids = sorted([*known, operation_id])
        numbers = dict(zip(ids, order.spread(ids, start, size), strict=True))
        moved = [self.read(at) for name, at in known.items() if numbers[name] != at]
        for old in moved:
            self._take_out(old)
        for old in moved:
            self._insert(numbers[old.entry.id], old.entry, old.stamp)
        return numbers[operation_id]

    def _gap(self, operation_id: str) -> tuple[int, int]:
        """Return two numbers: every lesser id has the first or a lesser one, every greater id the second or a greater one."""
        first = order.second_of(operation_id) * order.WIDTH
        last = first + order.WIDTH - 1
        lesser, greater = neighbours(self._db, operation_id, self._has_strays)
        low = max((at for at in lesser), default=first - 1)
        high = min((at for at in greater), default=last + 1)
        if high > first:
            low = max(low, first - 1)
        else:
            below = self._db.execute("SELECT max(at) FROM op WHERE at < ?", (high,)).fetchone()[0]
            low = max(at for at in (below, low if lesser else None, high - order.WIDTH) if at is not None)
        if low < last:
            return low, min(high, last + 1)
        above = self._db.execute("SELECT min(at) FROM op WHERE at > ?", (low,)).fetchone()[0]
        return low, min(at for at in (above, high if greater else None, low + order.WIDTH) if at is not None)


@dataclass(frozen=True, slots=True)
class Written:
    """How many operations changed, which must be read again now, and which soon, since their files were that young."""

    changed: int
    doubtful: list[str]
    unsettled: list[str]


def put_all(connection: Connection, found: Mapping[str, Observed | None]) -> Written:
    """Write what was read inside the caller's transaction, and forget what is gone."""
    writer = Writer(connection)
    changed = sum(writer.remove(operation_id) for operation_id, observed in found.items() if observed is None)
    there = sorted((observed for observed in found.values() if observed), key=lambda observed: observed[0].id)
    for item, stamp in there:
        changed += writer.put(item, stamp) if isinstance(item, Entry) else writer.put_broken(item, stamp)
    writer.finish()
    return Written(changed, [], [item.id for item, stamp in there if stamp == UNSETTLED])


def put_parts(connection: Connection, parts: Sequence[Part]) -> Written:
    """Write what was read before the caller's transaction began; what another process may have read later is doubtful."""
    writer = Writer(connection)
    rows: list[Ready] = []
    others: list[Observed] = []
    for part in parts:
        others += [observed for observed in part.others.values() if observed]
        writer.doubtful += [operation_id for operation_id, observed in part.others.items() if not observed]
        if part.born == connection.born:
            rows += part.ready
            writer.count(part.tally)
        else:  # the file was replaced meanwhile, and numbers names anew
            others += [(row.entry(part.names), row.stamp) for row in part.ready]
    writer.doubtful += [item.id for item, _ in others if isinstance(item, Broken)]
    rows += [writer.ready(item, stamp) for item, stamp in others if isinstance(item, Entry)]
    left = writer.put_new(rows)
    changed = len(rows) - len(left)
    for row in left:
        changed += writer.put(row.entry(connection.names), row.stamp, late=True)
    writer.finish()
    return Written(changed, writer.doubtful, [row.id for row in rows if row.stamp == UNSETTLED])
