"""The scripted session, with a daemon that valgrind watches: no error, nothing lost, no descriptor left open."""

import re
import unittest

from harness import Daemon
from session import Session


class Valgrind(unittest.TestCase):
    def test_a_session_leaves_nothing_behind(self):
        daemon = Daemon({"connection.claimed-users": "true", "publish.to-group": "anyone", "limits.messages-per-user": 100000})
        daemon.arguments = ["valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=all", "--track-fds=yes",
                            *daemon.arguments]
        with daemon:
            for _ in range(3):
                self.assertEqual(Session(daemon).run().failed, [])
            daemon.stop()
            log = daemon.log()
        # Those it was started with: the three standard ones, and what the test runner handed on.
        opened = [text for text in re.findall(r"Open (?:file descriptor|AF_\w+ socket) \d+:?.*(?:\n==\d+==    .*)*", log) if "inherited" not in text]
        self.assertEqual(opened, [], log)
        self.assertNotIn("definitely lost", log)


if __name__ == "__main__":
    unittest.main()
