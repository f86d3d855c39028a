"""The gateway's side of the runtime (implementation follows)."""
