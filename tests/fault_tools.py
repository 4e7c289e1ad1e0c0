"""How the fault tests do harm: strace at one system call of a child process, disks that are small, read-only or cut off.

Whoever kills or refuses a call here is told that it really happened: a sweep whose faults do not fire proves nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
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


def faults(strace: str, command_line: list[str], place: Path, log: Path, also: Iterable[str] = ()) -> list[Fault]:
    """Run the command once, unharmed, and return every call of CALLS and `also` from the first mention of `place` on."""
    place.mkdir(exist_ok=True)
    done = run(
        [
            strace,
            "-f",
            "-qq",
            "-o",
            str(log),
            "-e",
            f"trace={','.join(dict.fromkeys((*CALLS, *(f'?{name}' for name in also))))}",
            *command_line,
        ]
    )
    assert done.returncode == 0, done.stderr
    assert "ACK" in done.stdout, done.stdout
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
    inject = f"inject={fault.call}:signal=KILL:when={fault.number}"
    done = run([strace, "-f", "-qq", "-o", os.devnull, "-e", f"trace={fault.call}", "-e", inject, *command_line])
    assert done.returncode in (-9, 137), f"the kill at {fault} did not fire: {done.returncode} {done.stdout} {done.stderr}"
    return done.stdout


def answered(strace: str, fault: Fault, answer: str, command_line: list[str], log: Path, *also: str) -> str:
    """Run the command with one call answered falsely (`error=EIO`), make sure that it was, and return what the command said.

    `also` are more false answers, in strace's words: `unlinkat:error=EIO`, or `unlinkat:signal=KILL:when=1`, which must fire.
    """
    answers = [f"{fault.call}:{answer}:when={fault.number}", *also]
    calls = ",".join(words.partition(":")[0] for words in answers)
    injections = [word for words in answers for word in ("-e", f"inject={words}")]
    done = run([strace, "-f", "-qq", "-o", str(log), "-e", f"trace={calls}", *injections, *command_line])
    assert re.search(rf"\b{fault.call}\(.*\(INJECTED\)", log.read_text()), f"{answer} at {fault} did not fire"
    if any("signal=KILL" in words for words in also):
        assert done.returncode in (-9, 137), f"{answer} at {fault}: the kill after it did not fire"
    else:
        assert done.returncode == 0, f"{answer} at {fault}: {done.stderr}"
    return done.stdout.strip()


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


def cut(blank: Path, desk: Path, strace: str, fault: Fault, command_line: Callable[[Path], list[str]]) -> tuple[str, Path]:
    """Run a command on a copy of a disk, kill it at one call and cut the power in that instant; return its words and the disk.

    What the image's file holds is what the device had received; what the system still had in memory is lost, as in a cut.
    """
    disk, after = desk / "disk.img", desk / "after.img"
    system("cp", "--sparse=always", blank, disk)
    with mounted(desk / "before", "-o", "loop", disk) as place:
        said = killed(strace, fault, command_line(place / "data"))
        system("cp", "--sparse=always", disk, after)
    disk.unlink()
    return said, after
