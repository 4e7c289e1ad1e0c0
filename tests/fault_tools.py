"""How the fault tests do harm: strace at one system call of a child process, disks that are small, read-only or cut off.

Whoever kills or refuses a call here is told that it really happened: a sweep whose faults do not fire proves nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: Without the link that a virtual environment makes: strace must follow the interpreter, not what starts it.
PYTHON = os.path.realpath(sys.executable)

#: Every call by which a save could change something or let go of it; a `?` stands before those that some machines do not have.
CALLS = (
    *("?open", "openat", "write", "?pwrite64", "fsync", "fdatasync", "?link", "linkat", "?rename", "?renameat", "renameat2"),
    *("?unlink", "unlinkat", "?mkdir", "mkdirat", "ftruncate", "close", "flock", "fadvise64", "exit_group"),
)
#: Those after which a disk can look different.
CHANGES = frozenset(
    ("write", "fsync", "link", "linkat", "rename", "renameat", "unlink", "unlinkat", "mkdir", "mkdirat", "exit_group")
)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Fault:
    """The `number`-th call of a kind (strace counts each kind by itself, from the start of the process)."""

    call: str
    number: int

    def __str__(self) -> str:
        """Name it in a message."""
        return f"{self.call} {self.number}"


def command(program: str, data: Path, *arguments: str, site: bool = False) -> list[str]:
    """Return the command line of one of the programs; `site` gives it the installed packages, Pillow for one."""
    python = [sys.executable, "-B"] if site else [PYTHON, "-S", "-E", "-B"]
    return [*python, "-m", "tests.fault_programs", program, str(data), *arguments]


def run(command_line: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a child to its end, whatever end that is."""
    return subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


class Nursery:
    """The programs of one module, loaded once and forked for every run."""

    def __init__(self, python: Sequence[str], module: str) -> None:
        """Start the process that has them; it ends with this one."""
        self._folder = tempfile.TemporaryDirectory(prefix="opstore-nursery-")
        self._address = f"{self._folder.name}/socket"
        line = [*python, "-m", "tests.fault_nursery", module, self._address]
        self._process = subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(self.close)
        assert self._process.stdout and self._process.stdout.readline() == "ready\n", f"{module} cannot be loaded"

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def run(self, arguments: Sequence[str], tracer: Sequence[str] = (), *, teach: bool = False) -> tuple[int, str]:
        """Run a program to its end, whatever end that is, traced from its first call on; return its exit code and words."""
        with self.held(arguments, teach=teach) as (connection, child):
            with _attached([*tracer, "-p", str(child)]) if tracer else contextlib.nullcontext():
                connection.sendall(b"!")
                said, _, code = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\0")
            return int(code), said.decode()

    @contextmanager
    def held(self, arguments: Sequence[str], *, teach: bool = False) -> Iterator[tuple[socket.socket, int]]:
        """Begin a program: it waits for a byte, says what it has to say, then a zero byte and its exit code."""
        with self._asked({"arguments": list(arguments), "teach": teach}) as connection:
            child = b""
            while not child.endswith(b"\n"):
                child += connection.recv(1)
            yield connection, int(child)

    def load(self, names: Sequence[str]) -> None:
        """Load modules that programs load when they need them: no run then spends its calls on that."""
        with self._asked({"load": list(names)}) as connection:
            connection.recv(1)

    @contextmanager
    def _asked(self, words: Mapping[str, object]) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(self._address)
            connection.sendall(json.dumps(words).encode() + b"\n")
            yield connection


@contextmanager
def _attached(tracer: Sequence[str], log: Path | None = None) -> Iterator[Iterable[str]]:
    """Trace a process in the block; it is held when the block begins. What a pipe as `log` is told is lent."""
    with contextlib.ExitStack() as held:
        strace = held.enter_context(subprocess.Popen(tracer, stderr=subprocess.PIPE, text=True))
        lines: Iterable[str] = held.enter_context(log.open()) if log else ()
        assert strace.stderr
        line = strace.stderr.readline()
        assert "attached" in line, line + strace.stderr.read()
        yield lines
        strace.stderr.read()


@functools.cache
def nursery(*line: str) -> Nursery:
    """Return the nursery of a module for an interpreter with its flags, begun when it is first asked for."""
    return Nursery(line[:-1], line[-1])


def _ready(command_line: list[str]) -> tuple[Nursery, list[str]]:
    """Return the nursery for a line such as `python -S -m tests.fault_programs save FOLDER`, and what to ask of it."""
    at = command_line.index("-m")
    return nursery(*command_line[:at], command_line[at + 1]), command_line[at + 2 :]


def _tracing(strace: str, log: str | Path, calls: str, *injections: str) -> list[str]:
    words = [word for injection in injections for word in ("-e", f"inject={injection}")]
    return [strace, "-f", "-o", str(log), "-e", f"trace={calls}", *words]


def faults(strace: str, command_line: list[str], place: Path, log: Path, also: Iterable[str] = ()) -> list[Fault]:
    """Run the command once, unharmed, and return every call of CALLS and `also` from the first mention of `place` on."""
    ready, arguments = _ready(command_line)
    with tempfile.TemporaryDirectory(dir=log.parent) as folder:  # what it loads is learnt from a run somewhere else
        other = Path(folder) / "other"
        if place.exists():
            system("cp", "-a", place, other)
        code, said = ready.run([word.replace(str(place), str(other)) for word in arguments], teach=True)
        assert code == 0, said
        ready.load(said.split("\1")[1:])
    place.mkdir(exist_ok=True)
    calls = ",".join(dict.fromkeys((*CALLS, *(f"?{name}" for name in also))))
    code, said = ready.run(arguments, _tracing(strace, log, calls))
    assert code == 0 and "ACK" in said, said
    count: Counter[str] = Counter()
    found: list[Fault] = []
    for line in log.read_text().splitlines():
        call = re.match(r"(?:\d+ +)?(\w+)\(", line)
        if call:
            count[call[1]] += 1
            if found or f'"{place}' in line:
                found.append(Fault(call[1], count[call[1]]))
    assert len({fault.call for fault in found}) >= 6, "the trace does not show a save"
    return found


def killed(strace: str, fault: Fault, command_line: list[str]) -> str:
    """Run the command with kill -9 in the place of one call, make sure that it was killed, and return what it had said.

    Never with --seccomp-bpf: strace 6.1 then injects no signal, and the sweep would be green for nothing.
    """
    ready, arguments = _ready(command_line)
    injection = f"{fault.call}:signal=KILL:when={fault.number}"
    code, said = ready.run(arguments, _tracing(strace, os.devnull, fault.call, injection))
    assert code == -9, f"the kill at {fault} did not fire: {code} {said}"
    return said


def answered(strace: str, fault: Fault, answer: str, command_line: list[str], log: Path, *also: str) -> str:
    """Run the command with one call answered falsely (`error=EIO`), make sure that it was, and return what the command said.

    `also` are more false answers, in strace's words: `unlinkat:error=EIO`, or `unlinkat:signal=KILL:when=1`, which must fire.
    """
    ready, arguments = _ready(command_line)
    answers = [f"{fault.call}:{answer}:when={fault.number}", *also]
    calls = ",".join(words.partition(":")[0] for words in answers)
    code, said = ready.run(arguments, _tracing(strace, log, calls, *answers))
    assert re.search(rf"\b{fault.call}\(.*\(INJECTED\)", log.read_text()), f"{answer} at {fault} did not fire"
    if any("signal=KILL" in words for words in also):
        assert code == -9, f"{answer} at {fault}: the kill after it did not fire"
    else:
        assert code == 0, f"{answer} at {fault}: {said}"
    return said.strip()


def two_at_a_time(act: Callable[[T], R], cases: Iterable[T]) -> list[R]:
    """Do all cases, two side by side (they wait for processes more than they compute); the first failure is raised."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(act, cases))


# -- disks ---------------------------------------------------------------------------------------------------------------


def system(*command_line: str | Path) -> None:
    """Run an administrator's command; raise with its words."""
    done = subprocess.run([str(word) for word in command_line], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise OSError(f"{command_line[0]}: {done.stderr.strip()}")


@contextmanager
def mounted(place: Path, *options: str | Path) -> Iterator[Path]:
    """Mount something at `place` (made here, removed after); let go of it whatever happens."""
    place.mkdir()
    try:
        system("mount", *options, place)
        try:
            yield place
        finally:
            try:
                system("umount", place)
            except OSError:
                system("umount", "--lazy", place)  # somebody looks into it at this moment: it goes when they leave
    finally:
        place.rmdir()


def _last(error: OSError) -> str:
    """Return the part of a program's complaint that says why, the same for every folder."""
    return (str(error).splitlines() or [""])[0].rpartition(": ")[2]


def need_mounts(tmp_path: Path) -> None:
    """Skip the test, with the reason, where this process may not mount."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a disk of its own")
    try:
        with mounted(tmp_path / "probe", "-t", "tmpfs", "tmpfs"):
            pass
    except OSError as error:
        pytest.skip(f"needs the right to mount: {_last(error)}")


def blank_image(tmp_path: Path, mkfs: str) -> Path:
    """Make an empty ext4 image; skip the test, with the reason, where it cannot be mounted."""
    need_mounts(tmp_path)
    image = tmp_path / "blank.img"
    with image.open("wb") as file:
        file.truncate(16 * 1024 * 1024)
    system(mkfs, "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
    try:
        with mounted(tmp_path / "probe", "-o", "loop", image):
            pass
    except OSError as error:
        pytest.skip(f"needs loop devices: {_last(error)}")
    return image


@dataclass(frozen=True)
class Cut:
    """A disk as it was when the power went behind a call, and what the program had said by then."""

    fault: Fault
    said: str
    image: Path


def cuts(
    blank: Path, desk: Path, strace: str, command_line: Callable[[Path], list[str]], calls: Collection[str] = CHANGES
) -> list[Cut]:
    """Run a command once on a copy of a disk, and cut the power behind every one of `calls` from the first look at its folder on.

    The process is stopped there, and the image's file copied: it holds what the device had received; what the system still had in
    memory is lost, as in a cut. The disk commits nothing by itself meanwhile (`commit=`).
    """
    disk, log = desk / "disk.img", desk / "stops"
    system("cp", "--sparse=always", blank, disk)
    os.mkfifo(log)
    found: list[Cut] = []
    with mounted(desk / "disk", "-o", "loop,commit=600", disk) as place:
        ready, arguments = _ready(command_line(place / "data"))

        def cut(fault: Fault, said: str) -> None:
            image = desk / f"after-{len(found)}.img"
            system("cp", "--sparse=always", disk, image)
            found.append(Cut(fault, said, image))

        with ready.held(arguments) as (connection, child):
            tracer = _tracing(strace, log, ",".join(CALLS), f"{','.join(f'?{call}' for call in calls)}:signal=STOP")
            said = b""
            with _attached([*tracer, "-p", str(child)], log) as lines:
                connection.sendall(b"!")
                for fault in _stops(lines, child, place):
                    if select.select([connection], [], [], 0)[0]:
                        said += connection.recv(65_536)
                    if fault:
                        cut(fault, said.decode())
                    os.kill(child, signal.SIGCONT)
                said += b"".join(iter(lambda: connection.recv(65_536), b""))
        words, _, code = said.partition(b"\0")
        assert code == b"0" and b"ACK" in words, said
        cut(Fault("exit_group", 1), words.decode())
    disk.unlink()
    log.unlink()
    assert len({cut.fault.call for cut in found}) >= 5, "the trace does not show a save"
    return found


def _stops(lines: Iterable[str], child: int, place: Path) -> Iterator[Fault | None]:
    """Yield the call behind which the child was stopped, each time; None before the first mention of `place`."""
    count: Counter[str] = Counter()
    begun, last = False, ""
    for line in lines:
        begun = begun or f'"{place}' in line
        if call := re.match(rf"{child} +(\w+)\(", line):
            last = call[1]
            count[last] += 1
        elif re.match(rf"{child} +--- stopped by SIGSTOP", line):
            yield Fault(last, count[last]) if begun else None
