"""What the tests of this folder share: a daemon whose memory and system calls fail when told to (inject.c)."""

import mmap
import os
import struct
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

from harness import BUILD, Daemon     # noqa: E402

FIELDS = ["allocations", "fail_allocation", "failed_allocations", "live_blocks", "calls", "call_rate", "seed", "failed_calls",
          "accept_error", "fail_every", "spares_main", "wall_offset_s", "is_harmless"]


class Control:
    """struct control of inject.c, as attributes."""

    def __init__(self):
        self.__dict__["file"] = tempfile.NamedTemporaryFile(prefix="rtcd-inject-")
        self.file.write(bytes(8 * len(FIELDS)))
        self.file.flush()
        self.__dict__["map"] = mmap.mmap(self.file.fileno(), 8 * len(FIELDS))

    def environment(self):
        return {"LD_PRELOAD": os.path.join(BUILD, "tests/inject/libinject.so"), "INJECT_CONTROL": self.file.name}

    def __getattr__(self, name):
        return struct.unpack_from("Q", self.map, 8 * FIELDS.index(name))[0]

    def __setattr__(self, name, value):
        struct.pack_into("Q", self.map, 8 * FIELDS.index(name), value % (1 << 64))

    def quiet(self):
        self.fail_allocation = self.fail_every = self.call_rate = self.accept_error = 0

    def close(self):
        self.map.close()
        self.file.close()


class FaultyDaemon(Daemon):
    def __init__(self, options=None, **more):
        self.control = Control()
        super().__init__({"log.core": "warning", "log.net": "error", "resume.window": "2s", "limits.connections-per-address": "unlimited", "connection.claimed-users": "true", "publish.to-group": "anyone", **(options or {})},
                         environment=self.control.environment(), **more)

    def __exit__(self, kind, value, trace):
        self.control.quiet()
        try:
            super().__exit__(kind, value, trace)
            if kind is None:
                assert self.control.live_blocks == 0, f"{self.control.live_blocks} blocks were not freed"
        finally:
            self.control.close()
