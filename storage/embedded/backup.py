"""Copies of a running embedded Postgres, and new servers made of them.

A backup is a folder, whole or not there at all:

    data/         a base backup with the log that makes it consistent, and Postgres's manifest of it
    password      of the role, mode 0600
    backup.json   `BackupInfo`
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from storage.embedded.postgres import EmbeddedPostgres, binaries_folder
from storage.embedded.process import EmbeddedServerError

INFO_FILE: Final = "backup.json"
BACKUP_SECONDS_MAX: Final = 6 * 3_600.0
"""A copy that takes longer is given up."""


class BackupInfo(msgspec.Struct, frozen=True, kw_only=True):
    """When it was begun, of which schema, and where the audit trail's chain ended then (`position:hash`).

    `finished_at`: from when on it is whole; `wal_segment`: the first of the archived log that it needs. Both "" in
    backups from before there was one.
    """

    at: str
    revision: str
    audit_head: str
    finished_at: str = ""
    wal_segment: str = ""


class _File(msgspec.Struct):
    checksum: str = msgspec.field(name="Checksum")
    path: str = msgspec.field(name="Path", default="")
    encoded_path: str = msgspec.field(name="Encoded-Path", default="")


class _Manifest(msgspec.Struct):
    """Of Postgres's `backup_manifest`, what is checked here."""

    files: list[_File] = msgspec.field(name="Files")
    checksum: str = msgspec.field(name="Manifest-Checksum")


class BackupError(Exception):
    """The backup could not be made, or is not one, or is damaged."""


def back_up(url: str, target: Path, info: BackupInfo, now: Callable[[], str]) -> BackupInfo:
    """Copy the server at `url`, which goes on serving, into a new folder; `now` is RFC 3339.

    Raises `BackupError`, `OSError`.
    """
    if target.exists():
        raise BackupError(f"{target} exists already")
    target.parent.mkdir(parents=True, exist_ok=True)
    parts = urlsplit(url)
    password = unquote(parts.password or "")
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        server = ("-h", str(parts.hostname), "-p", str(parts.port), "-U", unquote(parts.username or ""), "-w")
        how = ("--wal-method=stream", "--checkpoint=fast", "--manifest-checksums=SHA256")
        _run("pg_basebackup", "-D", str(draft / "data"), *server, *how, password=password)
        info = msgspec.structs.replace(info, finished_at=now(), wal_segment=_first_segment(draft / "data"))
        secret = draft / "password"
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password)
        (draft / INFO_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(info)))
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return info


def switch_segment(url: str) -> str:
    """Close the segment of the log that is being written; its name, or that of the last one that has anything.

    Raises `BackupError`.
    """
    parts = urlsplit(url)
    server = ("-h", str(parts.hostname), "-p", str(parts.port), "-U", unquote(parts.username or ""), "-w")
    statement = ("-d", parts.path.lstrip("/"), "-XAtq", "-c", "SELECT pg_walfile_name(pg_switch_wal())")
    return _run("psql", *server, *statement, password=unquote(parts.password or "")).strip()


def read_info(source: Path) -> BackupInfo:
    """What a backup says of itself. Raises `BackupError`."""
    try:
        return msgspec.json.decode((source / INFO_FILE).read_bytes(), type=BackupInfo)
    except (OSError, msgspec.DecodeError) as error:
        raise BackupError(f"{source} is no backup: {error}") from None


def check_backup(source: Path) -> BackupInfo:
    """Read every file of a backup and compare it with the manifest. Raises `BackupError`."""
    info = read_info(source)
    try:
        _check_files(source / "data")
    except (OSError, msgspec.DecodeError) as error:
        raise BackupError(f"{source} is not whole: {error}") from None
    return info


def _check_files(data: Path) -> None:
    """What `pg_verifybackup` does, which does not run everywhere. The log has checksums of its own."""
    text = (data / "backup_manifest").read_bytes()
    manifest = msgspec.json.decode(text, type=_Manifest)
    told, _, _ = text.rpartition(b'"Manifest-Checksum"')
    if hashlib.sha256(told).hexdigest() != manifest.checksum:
        raise BackupError(f"{data} has a damaged manifest")
    for file in manifest.files:
        path = data / (file.path or bytes.fromhex(file.encoded_path).decode())
        with path.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != file.checksum:
                raise BackupError(f"{path} is damaged")


def restore(source: Path, folder: Path) -> None:
    """Make a backup the data of the server on `folder`, which must not have any: as of when the backup was whole.

    It recovers when it is started. Raises `BackupError`, `OSError`, `EmbeddedServerError`; then there is nothing: a
    server on half of it would begin with an empty database.
    """
    if EmbeddedPostgres(folder).data.exists():
        raise BackupError(f"{folder} has data already")
    draft = folder.with_name(f".{folder.name}.restoring")
    shutil.rmtree(draft, ignore_errors=True)
    server = EmbeddedPostgres(draft)
    try:
        draft.mkdir(parents=True, mode=0o700)
        password = draft / "password"
        shutil.copyfile(source / "password", password)
        password.chmod(0o600)
        shutil.copytree(source / "data", server.data, symlinks=True)
        server.own(server.data)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _first_segment(data: Path) -> str:
    """`START WAL LOCATION: 0/2000028 (file 000000010000000000000002)`"""
    label = (data / "backup_label").read_text()
    found = re.search(r"^START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)", label, re.MULTILINE)
    if found is None:
        raise BackupError(f"{data} does not say where its log begins")
    return found[1]


def _run(program: str, *arguments: str, password: str = "") -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own binaries
            [str(binaries_folder() / program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=BACKUP_SECONDS_MAX,
            cwd="/",
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "PGPASSWORD": password},
        )
    except (subprocess.TimeoutExpired, EmbeddedServerError) as error:
        raise BackupError(f"{program}: {error}") from error
    if done.returncode != 0:
        raise BackupError(f"{program} failed: {done.stderr.strip()}")
    return done.stdout
