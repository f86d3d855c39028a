"""No table holds something of a person without saying what becomes of it."""

from storage.models import Base
from storage.privacy.personal import shown_columns
from storage.privacy.registry import REGISTRY, Fate, Ground
from storage.sealed_columns import FIXED, PLAIN

NAMES = {
    *("user_id", "owner", "owner_id", "subject", "actor", "author", "signer", "cosigner", "participants", "person"),
    *("patient_id", "courier_id", "claimed_by", "created_by", "placed_by", "asked_by", "email", "email_hash"),
    *("phone", "profile", "customer_id", "granted_to"),
}
"""Names of columns that say who somebody is, besides all that end in `_by` or refer to an account."""
NOT_PEOPLE = {("room_status", "held_by"), ("data_keys", "wrapper")}


def names_a_person(column):
    refers = any(key.target_fullname == "users.id" for key in column.foreign_keys)
    named = column.name in NAMES or column.name.endswith("_by")
    return (refers or named) and (column.table.name, column.name) not in NOT_PEOPLE


def test_every_column_that_names_a_person_is_in_the_registry():
    registered = {(entry.table, column) for entry in REGISTRY for column in entry.columns}
    found = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if names_a_person(column)
    }
    missing = found - registered
    assert not missing, f"say in storage/privacy/registry.py what becomes of {missing}"


def test_every_entry_is_of_columns_that_there_are():
    for entry in REGISTRY:
        columns = set(Base.metadata.tables[entry.table].columns.keys())
        assert {*entry.columns, *entry.opened, *entry.hidden} <= columns, entry.noun


def test_what_is_kept_says_on_which_ground():
    for entry in REGISTRY:
        assert (entry.fate is Fate.KEPT) <= (entry.ground is not Ground.NONE), entry.noun


def test_no_secret_is_shown():
    sealed = {(table, column) for table, column, *_ in (*PLAIN, *FIXED)}
    for entry in REGISTRY:
        shown = {column.name for column in shown_columns(entry)}
        assert not {name for name in shown if "hash" in name or "secret" in name or name == "file_key"}, entry.noun
        assert not {(entry.table, name) for name in shown} & sealed


def test_whose_patients_others_are_is_not_in_an_export_of_staff():
    for entry in REGISTRY:
        if "patient_id" in Base.metadata.tables[entry.table].columns and entry.condition != "patient_id = :person":
            assert "patient_id" in entry.hidden, entry.noun


def test_every_sealed_column_of_an_entry_is_opened_or_hidden():
    for table, column, *_ in PLAIN:
        for entry in REGISTRY:
            if entry.table == table:
                assert column in entry.opened or column in entry.hidden, (entry.noun, column)
