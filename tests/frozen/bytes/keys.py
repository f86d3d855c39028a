"""The key ring under which the bytes of sensitive kinds are frozen. It guards nothing, and must never change."""

from storage.crypto import KeyRing, KeySet

FROZEN_KEYS = KeyRing(KeySet({1: b"the key of frozen bytes: no use."}, 1))
