"""Where the embedded servers keep their sockets, and whose folders these are.

In: the data folder of an installation. Out: its mark, and a short private folder for each server's socket.
Must hold: a socket path stays under the 107 bytes that the system allows however deep the data folder is,
and only the server's own user (and root) can open the socket.
"""

import hashlib
import os
import stat
from pathlib import Path

from app.runtime.process import MARK_DIGITS


class FolderTakenError(Exception):
    """The socket folder's name is in use by somebody else."""


def mark_of(data_dir: Path) -> str:
    """The name that every server of this installation carries on its command line."""
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()
    return f"rushcart-{digest[:MARK_DIGITS]}"


def socket_folder(name: str, owner_uid: int) -> Path:
    """Make `/tmp/<name>`, mode 0700. Not in TMPDIR, which may itself be deep."""
    folder = Path("/tmp") / name  # noqa: S108 - the checks below make a predictable name safe
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), owner_uid}:
        raise FolderTakenError(f"{folder} belongs to another user: remove it, or choose another data folder")
    os.chown(folder, owner_uid, -1, follow_symlinks=False)
    folder.chmod(0o700)
    return folder


def open_to_others(path: Path) -> bool:
    """Whether a user without any rights of its own can reach `path`."""
    resolved = path.resolve()
    return all(part.stat().st_mode & stat.S_IXOTH for part in (resolved, *resolved.parents))
