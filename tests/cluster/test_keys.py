"""What a command says when the data keys cannot be had."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from cluster.datadir import DataDir
from cluster.errors import BadSettingsError, DatabaseError
from cluster.stores import open_keys
from storage.key_files import new_key_text
from storage.settings import Settings


@pytest.mark.stack
async def test_a_wrong_encryption_key_is_a_wrong_setting_told_in_one_line(database_url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    await open_keys(settings, database_url)
    assert [path.stat().st_mode & 0o777 for path in DataDir(tmp_path).keys.iterdir()] == [0o600]
    given = Settings(data_dir=tmp_path, encryption_key=new_key_text())
    with pytest.raises(BadSettingsError, match="ATRIUM_ENCRYPTION_KEY") as error:
        await open_keys(given, database_url)
    assert "\n" not in str(error.value)
    assert given.encryption_key.get_secret_value() not in str(error.value)


async def test_a_database_that_is_away_is_a_database_error_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError) as error:
        await open_keys(Settings(data_dir=tmp_path), "postgresql://nobody:hunter2@127.0.0.1:9/none")
    assert "hunter2" not in str(error.value)


@pytest.mark.stack
async def test_without_its_key_management_service_nothing_starts_and_the_line_says_so(
    database_url: str, tmp_path: Path
) -> None:
    away = Settings(data_dir=tmp_path, kms_url="http://127.0.0.1:9", kms_token=SecretStr("s.token"))
    with pytest.raises(DatabaseError, match=r"key management service 127\.0\.0\.1:9 cannot be reached"):
        await open_keys(away, database_url)
    with pytest.raises(BadSettingsError, match="no token"):
        await open_keys(Settings(data_dir=tmp_path, kms_url="http://127.0.0.1:9"), database_url)
