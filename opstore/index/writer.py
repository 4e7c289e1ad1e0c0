"""Writes operations into the index and takes them out, inside one transaction of the caller's.

Every row has one text in the full-text table: the prompt, then a marked word for each thing that can be asked of it (type, tag,
rating, parent, …), so that any mixture of words and fields is one walk through sorted lists. The text is a function of the row
(`text_of`): taking a row out needs exactly the text it was put in with.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from opstore.errors import OpstoreError, Said, said_again
from opstore.index import contents, order
from opstore.index.changes import note
from opstore.index.rows import COLUMNS, entry_of_row, find, neighbours
from opstore.index.sqlite import Connection
from opstore.index.table import Entry, output_code
from opstore.names import is_operation_id

#: Characters for private use count as letters and are taken out of prompts and searches, so that no prompt can pretend to be a
#: field. Each numbered name is one of them: a word of one letter costs nothing in the index of two-letter beginnings (12 bytes an
#: operation less). Where there are more names, and before what is no number, stands the first one, twice: one such beginning.
_FIRST, _LAST = 0xE000, 0xF8FF
_PRIVATE = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")
_MARK = chr(_FIRST) * 2
_INSERT_TEXT = "INSERT INTO body (rowid, text) VALUES (?, ?)"
_INSERT = f"INSERT INTO op ({COLUMNS}) VALUES ({', '.join('?' * 22)})"


@dataclass(frozen=True, slots=True)
class Stored:
    """A row as it stands in the table: its number, its stamp, its entry, and its text."""

    at: int
    stamp: int
    entry: Entry
    text: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A sidecar that cannot be read: the kind of problem, and why."""

    id: str
    kind: str
    reason: str


def broken(operation_id: str, kind: str, error: OpstoreError) -> Broken:
    """Return the problem of an operation, its reason kept so that a page can still translate it."""
    reason = error.details.get("reason", str(error))
    known = isinstance(reason, Said)
    parts = [reason.template, reason.details] if isinstance(reason, Said) and known else [str(reason).replace("{", "{{"), {}]
    return Broken(operation_id, kind, json.dumps(parts, default=str))


def reason_of(text: str) -> Said:
    """Return the sentence that `broken` kept."""
    template, details = json.loads(text)
    return said_again(template, details)


def bucket(value: int) -> int:
    """Return the coarse size of a number, four steps to each doubling; never less for a greater number."""
    if value <= 0:
        return -1 if value else 0
    return 1 + math.floor(4 * math.log2(value))


def span(size: int) -> tuple[int, int]:
    """Return the least and the greatest number of a coarse size, or a little beyond."""
    if size <= 0:
        return (0, 0) if size == 0 else (-(2**62), -1)
    return math.floor(2 ** ((size - 1) / 4)) - 1, math.ceil(2 ** (size / 4)) + 1


def plain(text: str) -> str:
    """Return a text without the mark: nobody's prompt can pretend to be a field."""
    return text if text.isascii() else _PRIVATE.sub(" ", text)


def name_word(number: int) -> str:
    """Return the marked word of a numbered name."""
    return chr(_FIRST + number) if number <= _LAST - _FIRST else f"{_MARK}{number}"


def parent_word(operation_id: str) -> str:
    """Return the marked word of an operation that is used as an input."""
    return f"{_MARK}p{operation_id.replace('_', '')}"


def batch_word(batch: str) -> str:
    """Return the marked word of a batch."""
    if is_operation_id(batch):
        return f"{_MARK}b{batch.replace('_', '')}"
    return f"{_MARK}h{blake2b(batch.encode(), digest_size=8).hexdigest()}"


def inputs_word(source: int) -> str:
    """Return the marked word of the operations that have the same inputs."""
    return f"{_MARK}s{source:x}"


def names_of(entry: Entry) -> list[tuple[str, str]]:
    """Return the field and name of everything that is asked for by a number: what `word` holds."""
    found = [("type", entry.type), ("status", entry.status), ("inputs", str(entry.inputs))]
    found += [
        (field, name) for field, name in (("model", entry.model), ("provider", entry.provider), ("error", entry.error)) if name
    ]
    if entry.rating is not None:
        found.append(("rating", str(entry.rating)))
    found += [(field, "yes") for field, said in (("favorite", entry.favorite), ("overridden", entry.overridden)) if said]
    found += [("tag", tag) for tag in entry.tags]
    sizes = (("cost", entry.cost), ("elapsed", entry.elapsed), ("confidence", entry.confidence))
    found += [(field, str(bucket(value))) for field, value in sizes if value is not None]
    return found


def text_of(entry: Entry, words: Iterable[int]) -> str:
    """Return what stands in the full-text table: the prompt, then a marked word for all that can be asked."""
    marked = [name_word(word) for word in words]
    marked += [parent_word(parent) for parent in entry.parents]
    if entry.batch:
        marked.append(batch_word(entry.batch))
    if entry.source is not None:
        marked.append(inputs_word(entry.source))
    return f"{plain(entry.prompt)} {' '.join(marked)}"


def _hash(text: str) -> int:
    return zlib.crc32(text.encode()) - 2**31  # four bytes for SQLite, which counts below zero too


class Writer:
    """The rows of one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Write through a connection that is inside a transaction; `finish` before it is committed."""
        self._db = connection
        connection.learn()
        self._words, self._names = connection.words, connection.names
        self._counts: Counter[int] = Counter()
        self._pairs: Counter[tuple[int, int]] = Counter()
        self._prompts: Counter[int] = Counter()
        self._prompt_ids: dict[str, int] = {}
        self._next_prompt: int = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM prompt").fetchone()[0]
        self._has_strays = bool(connection.execute("SELECT 1 FROM stray LIMIT 1").fetchone())
        self._touched: dict[str, None] = {}
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
        if old.entry == entry:
            if old.stamp != stamp or not stamp:
                self._touched[entry.id] = None  # what the index does not keep may be another
            if old.stamp != stamp:
                self._note_contents([entry])
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

    def finish(self) -> None:
        """Write what was counted."""
        self._db.executemany("UPDATE word SET n = n + ? WHERE id = ?", [(n, key) for key, n in self._counts.items() if n])
        pairs = [(*pair, n) for pair, n in self._pairs.items() if n]
        self._db.executemany("INSERT INTO pair VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n", pairs)
        changes = [(n, key) for key, n in self._prompts.items() if n]
        self._db.executemany("UPDATE prompt SET n = n + ? WHERE id = ?", changes)
        self._db.executemany("DELETE FROM prompt WHERE id = ? AND n = 0", [(key,) for n, key in changes if n < 0])
        note(self._db, list(self._touched))

    def _forget_problem(self, operation_id: str) -> bool:
        return self._db.execute("DELETE FROM problem WHERE id = ?", (operation_id,)).rowcount > 0

    def _remove_row(self, operation_id: str) -> bool:
        at = self.find(operation_id)
        if at is not None:
            self._take_out(self.read(at))
        return at is not None

    def _insert(self, at: int, entry: Entry, stamp: int) -> None:
        self._touched[entry.id] = None
        values, text = self._row(at, entry, stamp)
        self._db.execute(_INSERT, values)
        self._db.execute(_INSERT_TEXT, (at, text))
        self._note_contents([entry])

    def _note_contents(self, entries: Iterable[Entry]) -> None:
        rows: list[tuple[int, int | str]] = [(code, contents.key_of(entry.id)) for entry in entries for code in entry.contents]
        if rows:  # in the order of the table: a batch touches each of its pages once
            rows.sort(key=lambda row: row[0])
            self._db.executemany("INSERT OR IGNORE INTO content VALUES (?, ?)", rows)

    def _row(self, at: int, entry: Entry, stamp: int) -> tuple[tuple[object, ...], str]:
        """Return a new row's values and its text; its names and its prompt are counted."""
        key = order.short_key(entry.id, at)
        if len(key) > 8:
            self._db.execute("INSERT OR REPLACE INTO stray VALUES (?, ?)", (entry.id, at))
            self._has_strays = True
        words = [self._word(field, name) for field, name in names_of(entry)]
        self._counts.update(words)
        self._pairs.update(self._pairs_of(entry))
        prompt = self._prompt(entry.prompt)
        self._prompts[prompt] += 1
        known = self._words
        values = (
            at,
            key,
            stamp,
            known["type", entry.type],
            known["status", entry.status],
            prompt,
            known["model", entry.model] if entry.model else None,
            known["provider", entry.provider] if entry.provider else None,
            output_code(entry.output, entry.id) if entry.output else None,
            entry.inputs,
            entry.rating,
            int(entry.favorite),
            " ".join(str(known["tag", tag]) for tag in entry.tags) or None,
            entry.batch,
            " ".join(entry.parents) or None,
            entry.elapsed,
            entry.cost,
            self._word("currency", entry.currency) if entry.currency else None,
            known["error", entry.error] if entry.error else None,
            entry.confidence,
            entry.source,
            int(entry.overridden),
        )
        return values, text_of(entry, words)

    def _pairs_of(self, entry: Entry) -> list[tuple[int, int]]:
        known, values = self._words, (("cost", entry.cost), ("elapsed", entry.elapsed))
        names = [known["type", entry.type], *([known["model", entry.model]] if entry.model else ())]
        return [(known[field, str(bucket(value))], name) for field, value in values if value is not None for name in names]

    def put_new(self, found: Sequence[tuple[Entry, int]]) -> list[tuple[Entry, int]]:
        """Put in many operations of which most have a second to themselves, sorted by id; return those that have not.

        A first build is such a case: no look for each whether it is there, no search for a free number.
        """
        if self._has_strays or not found:
            return list(found)
        seconds = [order.second_of(entry.id) for entry, _ in found]
        low, high = seconds[0] * order.WIDTH, (seconds[-1] + 1) * order.WIDTH
        taken = self._db.execute("SELECT at FROM op WHERE at >= ? AND at < ? LIMIT 2000", (low, high)).fetchall()
        if len(taken) == 2000:
            return list(found)
        busy = {at // order.WIDTH for (at,) in taken}
        busy |= {one for one, other in itertools.pairwise(seconds) if one == other}
        free = [(pair, second) for pair, second in zip(found, seconds, strict=True) if second not in busy]
        texts = list({entry.prompt for (entry, _), _ in free})
        for at in range(0, len(texts), 500):
            self._know_prompts(set(texts[at : at + 500]))
        self._touched |= dict.fromkeys(entry.id for (entry, _), _ in free)
        rows = [self._row(order.wanted(entry.id), entry, stamp) for (entry, stamp), _ in free]
        self._db.executemany(_INSERT, [values for values, _ in rows])
        self._db.executemany(_INSERT_TEXT, [(values[0], text) for values, text in rows])
        self._note_contents(entry for (entry, _), _ in free)
        return [pair for pair, second in zip(found, seconds, strict=True) if second in busy]

    def _take_out(self, old: Stored) -> None:
        self._touched[old.entry.id] = None
        for field, name in names_of(old.entry):
            self._counts[self._words[field, name]] -= 1
        self._pairs.subtract(self._pairs_of(old.entry))
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
        row = self._db.execute(
            f"SELECT {COLUMNS}, (SELECT text FROM prompt WHERE id = op.prompt) FROM op WHERE at = ?", (at,)
        ).fetchone()
        entry = entry_of_row(row, self._names)
        words = [self._words[name] for name in names_of(entry)]
        return Stored(at, row[2], entry, text_of(entry, words))

    def _word(self, field: str, text: str) -> int:
        number = self._words.get((field, text))
        if number is None:
            number = self._db.execute("INSERT INTO word (field, text, n) VALUES (?, ?, 0)", (field, text)).lastrowid or 0
            self._words[field, text] = number
            self._names[number] = text
        return number

    def _prompt(self, text: str) -> int:
        found = self._prompt_ids.get(text)
        if found is None:
            self._know_prompts({text})
            found = self._prompt_ids[text]
        return found

    def _know_prompts(self, texts: set[str]) -> None:
        """Find the numbers of prompts, or give them new ones: one question for many."""
        wanted = {_hash(text) for text in texts}
        marks = ", ".join(map(str, wanted))
        for number, text in self._db.execute(f"SELECT id, text FROM prompt WHERE hash IN ({marks})"):
            self._prompt_ids[text] = number
        fresh = [text for text in texts if text not in self._prompt_ids]
        numbers = range(self._next_prompt, self._next_prompt + len(fresh))
        self._db.executemany(
            "INSERT INTO prompt VALUES (?, ?, 0, ?)", [(n, _hash(text), text) for n, text in zip(numbers, fresh, strict=True)]
        )
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

    def _make_room(self, operation_id: str, window: list[tuple[int, str]], start: int, size: int) -> int:
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


def put_all(
    connection: Connection, found: Iterable[tuple[Entry | Broken, int]], gone: Iterable[str], late: bool = False
) -> tuple[int, list[str]]:
    """Write what was read and forget what is gone, in the caller's transaction.

    Return how many changed, and which must be read again.
    """
    writer = Writer(connection)
    changed = sum(writer.remove(operation_id) for operation_id in gone)
    # In the order of their numbers: the full-text engine starts a new list whenever a number is less than the one before.
    rest = sorted(found, key=lambda pair: pair[0].id)
    if late and not connection.execute("SELECT 1 FROM problem LIMIT 1").fetchone():
        fresh = [(item, stamp) for item, stamp in rest if isinstance(item, Entry)]
        left = writer.put_new(fresh)
        changed += len(fresh) - len(left)
        rest = [*left, *((item, stamp) for item, stamp in rest if isinstance(item, Broken))]
    for item, stamp in rest:
        if isinstance(item, Entry):
            changed += writer.put(item, stamp, late)
        elif late:
            writer.doubtful.append(item.id)
        else:
            changed += writer.put_broken(item, stamp)
    writer.finish()
    return changed, writer.doubtful
