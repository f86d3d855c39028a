"""The key-encryption key: of the setting, or of a file that is made once."""

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from storage.key_files import key_bytes, new_key_text, write_once
from storage.key_wrapping import KEY_FILE, EncryptionKeyError, LocalWrapper, local_wrapper


def test_of_many_that_write_at_once_one_wins_and_only_its_owner_may_read(tmp_path: Path) -> None:
    path = tmp_path / "keys" / KEY_FILE
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: write_once(path, b"%d" % number), range(8)))
    won = path.read_bytes()
    assert won in {b"%d" % number for number in range(8)}
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]
    write_once(path, b"later")
    assert path.read_bytes() == won


@pytest.mark.parametrize("wrong", ["", "x", "not base64!", base64.b64encode(b"31 bytes").decode()])
def test_only_32_bytes_are_a_key_and_what_was_given_is_not_shown(wrong: str) -> None:
    with pytest.raises(ValueError, match="base64 of 32 bytes") as error:
        key_bytes(wrong)
    assert wrong not in str(error.value) or len(wrong) < 2


def test_the_file_is_made_once_and_found_again(tmp_path: Path) -> None:
    made = local_wrapper(tmp_path, None, create=True)
    assert local_wrapper(tmp_path, None, create=True).name == made.name
    assert local_wrapper(tmp_path, None, create=False).name == made.name


def test_the_setting_wins_and_makes_no_file(tmp_path: Path) -> None:
    text = new_key_text()
    wrapper = local_wrapper(tmp_path, SecretStr(text), create=True)
    assert wrapper.name == LocalWrapper(key_bytes(text)).name
    assert not list(tmp_path.iterdir())


def test_a_key_that_is_missing_is_not_made_anew_when_it_is_needed(tmp_path: Path) -> None:
    for folder, reason in ((tmp_path, KEY_FILE), (None, "no folder")):
        with pytest.raises(EncryptionKeyError, match=reason):
            local_wrapper(folder, None, create=False)
    assert not list(tmp_path.iterdir())
    (tmp_path / KEY_FILE).write_text("no key")
    with pytest.raises(EncryptionKeyError, match="base64"):
        local_wrapper(tmp_path, None, create=False)


def test_a_folder_in_which_nothing_can_be_made_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EncryptionKeyError, match="cannot be used"):
        local_wrapper(tmp_path / "file", None, create=True)


async def test_a_wrapped_key_is_unwrapped_by_its_key_and_context_only() -> None:
    one, other = (LocalWrapper(key_bytes(new_key_text())) for _ in range(2))
    wrapped = await one.wrap(b"k" * 32, b"data key 1")
    assert b"k" * 32 not in wrapped
    assert await one.unwrap(wrapped, b"data key 1") == b"k" * 32
    for wrapper, bytes_, context in (
        (other, wrapped, b"data key 1"),
        (one, wrapped, b"data key 2"),
        (one, wrapped[:-1], b"data key 1"),
        (one, b"", b"data key 1"),
    ):
        with pytest.raises(EncryptionKeyError):
            await wrapper.unwrap(bytes_, context)
    assert one.name != other.name
