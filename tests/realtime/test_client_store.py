"""A device's store: whose it is, what a broken or missing file comes to, and the states it shows without a network."""

import json
import sqlite3
import stat
from pathlib import Path

import pytest

from realtime.client.errors import ForeignStoreError, StoreBusyError, StoreError, StoreTooNewError
from realtime.client.sqlite_queue import SqliteQueue
from realtime.client.state_cache import StateCache
from realtime.client.store import MIGRATIONS, DeviceStore

BODY = {"ent": "room/1", "op": "claim", "args": {}}
DEVICE = "6f1c2f0e-8d0b-4d3a-9a55-0c7a4f1b2d3e"


def test_a_store_is_found_again_as_it_was_left(tmp_path: Path) -> None:
    with DeviceStore.open(tmp_path / "a.db", subject="alice", wall=lambda: 1_000.9) as store:
        device_id = store.device_id
        SqliteQueue(store).append(BODY)
    with DeviceStore.open(tmp_path / "a.db", subject="alice", wall=lambda: 2_000) as again:
        assert (again.device_id, again.epoch, again.broken) == (device_id, 1_000, None)
        assert SqliteQueue(again).after(0) == (1, BODY)


def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    with DeviceStore.open(tmp_path / "a.db", subject="alice"):
        assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}


def test_another_persons_store_is_not_opened(tmp_path: Path) -> None:
    DeviceStore.open(tmp_path / "a.db", subject="alice").close()
    with pytest.raises(ForeignStoreError, match="person"):
        DeviceStore.open(tmp_path / "a.db", subject="bob")
    DeviceStore.open(tmp_path / "a.db", subject="alice").close()


def test_another_installations_store_is_not_opened(tmp_path: Path) -> None:
    DeviceStore.open(tmp_path / "a.db", subject="alice", device_id=DEVICE).close()
    with pytest.raises(ForeignStoreError, match="device"):
        DeviceStore.open(tmp_path / "a.db", subject="alice", device_id=DEVICE[::-1])
    with DeviceStore.open(tmp_path / "a.db", subject="alice") as store:
        assert store.device_id == DEVICE


def test_two_processes_cannot_have_one_store(tmp_path: Path) -> None:
    with DeviceStore.open(tmp_path / "a.db", subject="alice"), pytest.raises(StoreBusyError):
        DeviceStore.open(tmp_path / "a.db", subject="alice")


@pytest.mark.parametrize("damage", ["scrambled", "missing", "cut"])
def test_a_lost_file_gives_a_new_store_of_the_same_device_with_a_higher_epoch(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.db"
    with DeviceStore.open(path, subject="alice", wall=lambda: 5_000) as store:
        device_id = store.device_id
        for _ in range(100):
            SqliteQueue(store).append(BODY)
    match damage:
        case "scrambled":
            path.write_bytes(b"\x07" * 20_000)
        case "cut":
            path.write_bytes(path.read_bytes()[:5_000])
        case _:
            path.unlink()
    with DeviceStore.open(path, subject="alice", wall=lambda: 10) as store:  # the tablet's clock was reset as well
        assert (store.device_id, store.epoch) == (device_id, 5_001)
        assert SqliteQueue(store).append(BODY) == 1
        assert (store.broken is None) == (damage == "missing")
        assert store.broken is None or store.broken.exists()


def test_without_any_memory_the_clock_gives_the_epoch(tmp_path: Path) -> None:
    DeviceStore.open(tmp_path / "a.db", subject="alice", wall=lambda: 5_000).close()
    for leftover in tmp_path.iterdir():
        leftover.unlink()
    with DeviceStore.open(tmp_path / "a.db", subject="alice", wall=lambda: 6_000) as store:
        assert store.epoch == 6_000


def test_a_lost_file_stays_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    DeviceStore.open(path, subject="alice").close()
    path.unlink()
    with pytest.raises(ForeignStoreError):
        DeviceStore.open(path, subject="bob")
    DeviceStore.open(path, subject="alice").close()


def test_a_store_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "a.db")
    old.executescript(MIGRATIONS[0])
    old.executemany("INSERT INTO meta VALUES (?, ?)", [("device_id", DEVICE), ("subject", "alice"), ("epoch", "7")])
    old.execute("INSERT INTO commands (epoch, seq, body) VALUES (7, 4, ?)", (json.dumps(BODY),))
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    with DeviceStore.open(tmp_path / "a.db", subject="alice") as store:
        assert SqliteQueue(store).after(0) == (4, BODY)
        cache = StateCache(store)
        cache.keep("room/1", "room/1", 1, {"a": 1})
        assert cache.load("room/1") == {"room/1": (1, {"a": 1})}


def test_a_store_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    DeviceStore.open(path, subject="alice").close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.commit()
    newer.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNewError):
        DeviceStore.open(path, subject="alice")
    assert path.read_bytes() == before


def test_a_failed_write_leaves_what_waits_waiting(tmp_path: Path) -> None:
    with DeviceStore.open(tmp_path / "a.db", subject="alice") as store:
        store.later("INSERT INTO meta VALUES ('kept', '1')")
        with pytest.raises(StoreError):
            store.commit("INSERT INTO nowhere VALUES (1)")
        assert dict(store.rows("SELECT name, value FROM meta"))["kept"] == "1"


def test_states_are_shown_again_after_a_restart(tmp_path: Path) -> None:
    board, room = "location/1/rooms", "room/1"
    with DeviceStore.open(tmp_path / "a.db", subject="alice") as store:
        cache = StateCache(store)
        cache.keep(board, room, 1, {"status": "held"})
        cache.keep(room, room, 3, {"status": "roomed"})
        cache.keep(board, "room/2", 1, {"status": "held"})
        cache.flush()
        cache.keep(board, room, 2, {"status": "available"})
        cache.flush()
    with DeviceStore.open(tmp_path / "a.db", subject="alice") as store:
        roomed = (3, {"status": "roomed"})
        again = StateCache(store)
        assert set(again.channels()) == {board, room}
        assert again.load(board) == {room: roomed, "room/2": (1, {"status": "held"})}
        assert again.load(room) == {room: roomed}


def test_an_entity_stays_while_any_channel_has_it(tmp_path: Path) -> None:
    with DeviceStore.open(tmp_path / "a.db", subject="alice") as store:
        cache = StateCache(store)
        cache.keep("a/1/x", "room/1", 1, {})
        cache.keep("b/1/x", "room/1", 1, {})
        cache.leave("a/1/x", "room/1")
        assert (cache.load("a/1/x"), cache.load("b/1/x")) == ({}, {"room/1": (1, {})})
        cache.forget("b/1/x")
        cache.flush()
        assert list(store.rows("SELECT * FROM states")) == []


def test_dropped_states_cannot_be_read_from_the_file_any_more(tmp_path: Path) -> None:
    with DeviceStore.open(tmp_path / "a.db", subject="alice") as store:
        cache = StateCache(store)
        cache.keep("room/1", "room/1", 1, {"note": "PATIENT-SECRET"})
        cache.flush()
        assert any(b"PATIENT-SECRET" in one.read_bytes() for one in tmp_path.iterdir())
        cache.drop()
        assert not any(b"PATIENT-SECRET" in one.read_bytes() for one in tmp_path.iterdir())
        assert StateCache(store).channels() == ()
