"""How bytes reach the sockets: net.flush, by system calls that a kernel counts for us or refuses."""

import contextlib
import ctypes
import os
import struct
import unittest

import client
import harness

MEMBERS = 300
IO_URING_SETUP = 425            # the same number on every architecture
EPERM = 1


def forbid_io_uring():
    """Seccomp (seccomp(2)), as container runtimes do it by default: io_uring_setup fails with EPERM, all else goes on."""
    load_number, equals, answer = 0x20, 0x15, 0x06
    allow, refuse = 0x7FFF0000, 0x00050000 | EPERM
    steps = [(load_number, 0, 0, 0), (equals, 0, 1, IO_URING_SETUP), (answer, 0, 0, refuse), (answer, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    set_no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    for arguments in ((set_no_new_privileges, 1, 0, 0, 0), (set_seccomp, filter_mode, ctypes.c_void_p(ctypes.addressof(program)), 0, 0)):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def rings(daemon):
    """How many io_uring descriptors the daemon has."""
    folder = f"/proc/{daemon.process.pid}/fd"
    count = 0
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):        # closed meanwhile
            count += os.readlink(os.path.join(folder, name)) == "anon_inode:[io_uring]"
    return count


class Flush(unittest.TestCase):
    def fan_out(self, daemon):
        members = [client.WebSocket(daemon.port, group="g", protocol="msgpack" if i % 3 == 0 else "json")
                   for i in range(MEMBERS)]
        for number in range(5):
            daemon.publish("tick", number, group="g")
        for member in members:
            self.assertEqual([member.expect("tick")["data"] for _ in range(5)], list(range(5)))
        for member in members:
            member.close()

    def test_a_ring_for_each_worker_carries_a_fan_out(self):
        with harness.Daemon({"net.flush": "uring"}) as daemon:
            harness.wait_until(lambda: rings(daemon) == 2, "a ring for each worker")
            self.fan_out(daemon)

    def test_where_io_uring_is_forbidden_the_daemon_writes_and_says_so(self):
        with harness.Daemon({"net.flush": "uring"}, before_start=forbid_io_uring) as daemon:
            harness.wait_until(lambda: daemon.log().count("using write") == 2, "a warning of each worker")
            self.assertEqual(rings(daemon), 0)
            self.fan_out(daemon)

    def test_by_default_no_ring_is_made(self):
        with harness.Daemon({"net.flush": "write"}) as daemon:
            self.fan_out(daemon)
            self.assertEqual(rings(daemon), 0)


if __name__ == "__main__":
    unittest.main()
