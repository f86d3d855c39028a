import pickle

import pytest
from pydantic import ValidationError

from storage.key_files import new_key_text
from storage.settings import Settings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("DATABASE_URL", "REDIS_URL", "RAY_ADDRESS", "ATRIUM_DATABASE_URL", "ATRIUM_REDIS_URL", "ATRIUM_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_the_usual_names_of_urls_are_read(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://db")
    monkeypatch.setenv("REDIS_URL", "rediss://cache")
    monkeypatch.setenv("RAY_ADDRESS", "ray:6379")
    settings = Settings()
    assert settings.database_url.get_secret_value() == "postgresql://db"
    assert settings.redis_url.get_secret_value() == "rediss://cache"
    assert settings.ray_address == "ray:6379"


def test_our_own_names_come_before_the_usual_ones(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://theirs")
    monkeypatch.setenv("ATRIUM_DATABASE_URL", "postgresql://ours")
    assert Settings().database_url.get_secret_value() == "postgresql://ours"


def test_a_key_that_is_none_is_refused_and_not_shown():
    with pytest.raises(ValidationError, match="base64 of 32 bytes") as error:
        Settings(encryption_key="hunter2")
    assert "hunter2" not in str(error.value)


def test_the_encryption_key_stays_in_its_process():
    settings = Settings(encryption_key=new_key_text(), jwt_issuer="kept", redis_url="redis://kept")
    sent = pickle.loads(pickle.dumps(settings))
    assert sent == settings.model_copy(update={"encryption_key": None})
    assert settings.encryption_key is not None


def test_secrets_are_not_shown():
    assert "hunter2" not in repr(Settings(database_url="postgresql://a:hunter2@b/c"))


@pytest.mark.parametrize(
    "wrong", [{"database_url": "mysql://x"}, {"redis_url": "http://x"}, {"port": 0}, {"entity_hosts": 0}], ids=str
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        Settings(**wrong)


def test_every_setting_says_what_it_is():
    for name, field in Settings.model_fields.items():
        assert field.description, name
        for suffix, unit in (("_s", "(seconds)"), ("_ms", "(milliseconds)"), ("_max", "(count)")):
            if name.endswith(suffix):
                assert unit in field.description, name
