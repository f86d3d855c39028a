"""A device that queues commands until it is killed, and says which ones it was promised. Run as a program."""

import sys
from pathlib import Path

from realtime.client.sqlite_queue import SqliteQueue
from realtime.client.store import DeviceStore

if __name__ == "__main__":
    queue = SqliteQueue(DeviceStore.open(Path(sys.argv[1]), subject="alice"))
    while True:
        seq = queue.append({"ent": "counter/1", "op": "add", "args": {"amount": queue.last_seq + 1}})
        if seq % 3 == 0:
            queue.resolve(seq - 1, {"status": "applied", "seq": seq - 1})
            queue.commit()
        sys.stdout.write(f"{seq}\n")
        sys.stdout.flush()
