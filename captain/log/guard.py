"""Whether a file may be captain's log: its kind, owner, links, place and first bytes. Opens no database."""

from __future__ import annotations

import os
import stat
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from captain.errors import LogError, NotALog
from captain.log.schema import APPLICATION_ID

_MAGIC = b"SQLite format 3\x00"
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")
_NETWORK = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "afs", "lustre", "gpfs", "beegfs", "fuse")
)
# The root of rootless containers: a local disk behind a FUSE layer, with working locks.
_LOCAL_FUSE = frozenset(("fuse.fuse-overlayfs",))

Identity = tuple[int, int]
"""Device and inode."""


def identity(status: os.stat_result) -> Identity:
    """What stays the same while a file is the same file."""
    return status.st_dev, status.st_ino


def located(path: Path) -> Path:
    """`path` absolute, with links in its directories resolved but not one at its end."""
    path = path.expanduser().absolute()
    try:
        return path.parent.resolve() / path.name
    except (OSError, RuntimeError) as error:
        raise LogError(f"cannot find the directory of the log {path}: {error}") from error


def _me() -> int:
    return os.geteuid()


def _shared_by_group(status: os.stat_result, folder: os.stat_result) -> bool:
    """A team's log: group-writable, in a setgid directory of a group that this process belongs to."""
    mine = {os.getegid(), *os.getgroups()}
    return bool(
        status.st_gid in mine
        and status.st_gid == folder.st_gid
        and status.st_mode & stat.S_IWGRP
        and folder.st_mode & stat.S_ISGID
        and not folder.st_mode & stat.S_ISVTX  # another member must be able to remove a journal
    )


def regular(path: Path) -> os.stat_result | None:
    """The status of a plain file with one name, or None where there is none. Raises NotALog for anything else."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LogError(f"cannot look at the log {path}: {error.strerror}", hint="choose another with --log") from error
    what = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }.get(stat.S_IFMT(status.st_mode))
    if what:
        raise NotALog(f"the log {path} is {what}", hint="name the log file itself with --log")
    return status


def foreign(path: Path, status: os.stat_result) -> bool:
    """Whether the file belongs to neither this user nor this user's team."""
    return status.st_uid != _me() and not _shared_by_group(status, path.parent.stat())


def exposure(path: Path, status: os.stat_result) -> str | None:
    """Why others could change the log behind captain's back, or None."""
    folder = path.parent.stat()
    if status.st_nlink != 1:
        return f"has {status.st_nlink} names (hard links), so it can be changed through another one"
    if status.st_mode & stat.S_IWOTH:
        return "is writable by everyone"
    if folder.st_mode & stat.S_IWOTH:
        return f"lies in {path.parent}, which is writable by everyone"
    if foreign(path, status):
        return f"belongs to user {status.st_uid}, not to you"
    return None


def refuse_exposed(path: Path, status: os.stat_result) -> None:
    """Raise when others could change the log, or plant a journal that would be played into it."""
    if why := exposure(path, status):
        raise LogError(f"captain does not use the log {path}: it {why}", hint="move it, or mend its mode, then retry")
    if why := journal_trouble(path):
        raise LogError(f"captain does not open the log {path}: {why}", hint="captain verify says what can be read")


def journal_trouble(path: Path) -> str | None:
    """Why the journal beside a log must not be played back, or None.

    SQLite deletes the file a journal names as its super-journal; captain never writes such a name.
    """
    journal = path.with_name(path.name + "-journal")
    try:
        status = os.lstat(journal)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        return f"{journal.name} beside it is no plain file"
    if foreign(path, status):
        return f"{journal.name} beside it belongs to user {status.st_uid}"
    try:
        descriptor = os.open(journal, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{journal.name} beside it cannot be read: {error.strerror}"
    with os.fdopen(descriptor, "rb") as file:
        length = os.fstat(descriptor).st_size
        file.seek(max(length - 8, 0))
        if file.read(8) == _SUPER_JOURNAL:
            return f"{journal.name} beside it names another file to be deleted; captain did not write it"
    return None


def refuse_network(path: Path) -> None:
    """Raise on a filesystem whose locks do not hold between machines. Says nothing where /proc has no mounts."""
    kind = filesystem(path.parent)
    if kind in _NETWORK or (kind.startswith("fuse.") and kind not in _LOCAL_FUSE):
        raise LogError(
            f"captain does not keep the log {path} on a network filesystem ({kind}): its locks may not hold",
            hint="choose a local path with --log, or accept the risk with --allow-network-fs",
        )


def filesystem(folder: Path) -> str:
    """The type of the filesystem that holds `folder`, as in ext4; "unknown" where the kernel does not tell."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return "unknown"
    best, kind = "", "unknown"
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = fields[4].replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
        if (folder == Path(point) or Path(point) in folder.parents) and len(point) >= len(best):
            best, kind = point, after.split(" ", 1)[0]
    return kind


def create(path: Path) -> None:
    """An empty file of mode 0600 (0660 in a team's setgid directory) and its directories, 0700. Keeps one that is."""
    _make_folder(path.parent)
    folder = path.parent.stat()
    team = bool(folder.st_mode & stat.S_ISGID and folder.st_mode & stat.S_IWGRP)
    mode = 0o660 if team else 0o600
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except FileExistsError:
        return
    try:
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    missing = [folder]
    while not missing[-1].exists():
        missing.append(missing[-1].parent)
    for part in reversed(missing[:-1]):
        part.mkdir(mode=0o700, exist_ok=True)


@dataclass(frozen=True, slots=True)
class Header:
    """The first 100 bytes of a database file."""

    empty: bool
    """No byte yet, or a creation that was cut short and will be undone by its journal."""
    sqlite: bool
    application_id: int
    wal: bool
    """Someone switched it to write-ahead logging."""

    @property
    def ours(self) -> bool:
        """Whether it says that it is a captain log."""
        return self.sqlite and self.application_id == APPLICATION_ID


# Closing any descriptor of a file drops the POSIX locks that SQLite holds on it in this process. So files that
# a connection of this process has open are never opened for a look.
_turn = threading.Lock()
_held: Counter[Identity] = Counter()


def hold(file: Identity) -> None:
    """Mark a file as open in SQLite."""
    with _turn:
        _held[file] += 1


def let_go(file: Identity) -> None:
    """Undo one `hold`."""
    with _turn:
        _held[file] -= 1
        if _held[file] <= 0:
            del _held[file]


def peek(path: Path) -> Header | None:
    """What a file says it is, before SQLite may touch it. None when SQLite has it open in this process."""
    with _turn:
        status = regular(path)
        if status is None or identity(status) in _held:
            return None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise LogError(f"cannot open the log {path}: {error.strerror}", hint="check its mode and owner") from error
        with os.fdopen(descriptor, "rb") as file:
            head = file.read(100)
    if not head or (not any(head) and path.with_name(path.name + "-journal").exists()):
        return Header(True, False, 0, False)
    if len(head) < 100 or not head.startswith(_MAGIC):
        return Header(False, False, 0, False)
    return Header(False, True, int.from_bytes(head[68:72], "big"), 2 in head[18:20])
