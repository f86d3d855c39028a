"""Sealed files: what was written is read, in bounded pieces, and nothing else is."""

import zipfile
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.crypto import TamperedError
from storage.sealed_files import CHUNK_BYTES, SealedWriter, new_file_key, read_sealed

SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(SIZES), max_size=4))
def test_what_was_written_is_read_in_pieces_of_a_chunk_at_most(tmp_path, sizes):
    path, key, parts = tmp_path / "file", new_file_key(), [bytes([n + 1]) * size for n, size in enumerate(sizes)]
    with SealedWriter(path, key, "exports/1") as file:
        for part in parts:
            file.write(part)
    assert file.size_bytes == sum(sizes)
    pieces = list(read_sealed(path, key, "exports/1"))
    assert b"".join(pieces) == b"".join(parts)
    assert max(map(len, pieces)) <= CHUNK_BYTES


@pytest.fixture
def sealed(tmp_path):
    path, key = tmp_path / "file", new_file_key()
    with SealedWriter(path, key, "exports/1") as file:
        file.write(b"Ada Lovelace" * 20_000)
    return path, key


def test_the_file_shows_nothing_of_its_content_and_is_for_its_owner_only(sealed):
    path, _ = sealed
    assert b"Ada" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["bit", "cut", "swap", "magic", "key", "place", "empty"])
def test_a_file_that_was_altered_or_is_another_ones_does_not_open(sealed, damage):
    path, key = sealed
    content, place, size = bytearray(path.read_bytes()), "exports/1", CHUNK_BYTES + 16
    if damage == "bit":
        content[100] ^= 1
    elif damage == "cut":
        del content[8 + 2 * size :]
    elif damage == "swap":
        content[8 : 8 + 2 * size] = content[8 + size : 8 + 2 * size] + content[8 : 8 + size]
    elif damage == "magic":
        content[0] ^= 1
    elif damage == "key":
        key = new_file_key()
    elif damage == "place":
        place = "exports/2"
    else:
        del content[8:]
    path.write_bytes(content)
    with pytest.raises(TamperedError):
        list(read_sealed(path, key, place))


def test_what_fails_while_it_is_written_leaves_no_file(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(TypeError), SealedWriter(path, new_file_key(), "x") as file:
        file.write("no bytes")
    assert not path.exists()


def test_a_zip_is_written_straight_into_it(tmp_path):
    path, key = tmp_path / "file", new_file_key()
    with SealedWriter(path, key, "x") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", "[]")
    with zipfile.ZipFile(BytesIO(b"".join(read_sealed(path, key, "x")))) as archive:
        assert archive.read("a.json") == b"[]"
