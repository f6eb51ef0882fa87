"""Who may do what on the admin socket, by the kernel's word for who they are: tried by processes of other users."""

import contextlib
import grp
import json
import os
import pwd
import socket
import subprocess
import sys
import unittest

from harness import PATIENCE_S, AdminError, Daemon, wait_until

# Users that need no entry anywhere, and one that has one.
VIEWER, OPERATOR, ADMIN, STRANGER = 61001, 61002, 61003, 61004
NAMED = pwd.getpwnam("nobody")
GROUP = grp.getgrnam("games")

ASK = """
import json, socket, sys
link = socket.socket(socket.AF_UNIX)
link.settimeout(20)
link.connect(sys.argv[1])
answers = link.makefile("rb")
for line in sys.stdin:
    try:
        link.sendall(line.encode())
    except OSError:
        pass
    try:
        answer = answers.readline().decode()
    except ConnectionResetError:
        break
    if not answer:
        break
    print(answer, end="", flush=True)
"""


class Peer:
    """A process of another user with a connection of its own."""

    def __init__(self, daemon, uid, gid=61000, groups=()):
        self.process = subprocess.Popen([sys.executable, "-I", "-c", ASK, daemon.admin_path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, user=uid, group=gid, extra_groups=list(groups), cwd="/", text=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()

    def ask(self, command, **data):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"eventName": command, "data": data, "id": 1}) + "\n")
            self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or "{}")
        return answer.get("data", answer) if "error" not in answer else AdminError(answer["error"]["code"], answer["error"]["message"])


@unittest.skipUnless(os.getuid() == 0, "needs root, to be others")
class Levels(unittest.TestCase):
    def daemon(self, options=None, **more):
        daemon = Daemon({"admin.mode": "0666", **(options or {})}, **more)
        os.chmod(daemon.directory.name, 0o755)
        return daemon

    def level(self, daemon, *who, **more):
        with Peer(daemon, *who, **more) as peer:
            answer = peer.ask("whoami")
            return (answer["level"], answer["by"]) if "level" in answer else answer["code"]

    def test_each_level_may_do_what_it_is_for_and_no_more(self):
        commands = {"viewer": [("status", {}), ("list.connections", {}), ("show.config", {}), ("ping", {}), ("whoami", {})],
                    "operator": [("publish", {"event": "x", "all": True}), ("disconnect", {"user": "nobody there"})],
                    "admin": [("reload", {})]}
        order = list(commands)
        with self.daemon({"admin.viewers": f"uid:{VIEWER}", "admin.operators": f"uid:{OPERATOR}", "admin.admins": f"uid:{ADMIN}"}) as daemon:
            for have, uid in zip(order, (VIEWER, OPERATOR, ADMIN)):
                with Peer(daemon, uid) as peer:
                    self.assertEqual(peer.ask("whoami"), {"level": have, "by": f"admin.{have}s", "uid": uid, "gid": 61000})
                    for need in order:
                        for command, data in commands[need]:
                            with self.subTest(have=have, command=command):
                                answer = peer.ask(command, **data)
                                if order.index(need) <= order.index(have):
                                    self.assertFalse(isinstance(answer, AdminError) and answer.code == "forbidden", answer)
                                else:
                                    self.assertEqual(answer.code, "forbidden")
                                    self.assertIn(f"needs the level {need}, and you (uid {uid}) have {have}", str(answer))
                                    self.assertIn(f"admin.{need}s grants it", str(answer))

    def test_who_is_named_nowhere_gets_one_line_and_the_log_has_one(self):
        with self.daemon({"admin.viewers": f"uid:{VIEWER},user:no such user,group:no such group"}) as daemon:
            with Peer(daemon, STRANGER) as peer:
                answer = peer.ask("whoami")
                self.assertEqual(answer["code"], "forbidden")
                self.assertIn("admin.viewers", answer["message"])
                self.assertEqual(peer.ask("whoami"), {})
            self.assertEqual(daemon.log().count(f"with uid {STRANGER} and gid 61000 is neither root"), 1, daemon.log())

    def test_a_group_that_there_is_not_is_told_of_at_the_start(self):
        with self.daemon({"admin.group": "no-such-group"}) as daemon:
            self.assertEqual(daemon.log().count("there is no group no-such-group, so nobody is let in as its member (option admin.group)"), 1)
            self.assertEqual(self.level(daemon, STRANGER), "forbidden")

    def test_users_and_groups_by_number_and_by_name(self):
        with self.daemon({"admin.viewers": f"group:{GROUP.gr_name},gid:61005", "admin.operators": f"user:{NAMED.pw_name},gid:61006",
                          "admin.admins": "gid:61007"}) as daemon:
            viewer, operator, admin = ("viewer", "admin.viewers"), ("operator", "admin.operators"), ("admin", "admin.admins")
            self.assertEqual(self.level(daemon, NAMED.pw_uid), operator)
            self.assertEqual(self.level(daemon, STRANGER, GROUP.gr_gid), viewer)
            self.assertEqual(self.level(daemon, STRANGER, 61000, groups=[GROUP.gr_gid]), viewer)
            self.assertEqual(self.level(daemon, STRANGER, 61005), viewer)
            # Of several the highest.
            self.assertEqual(self.level(daemon, STRANGER, 61005, groups=[61006]), operator)
            self.assertEqual(self.level(daemon, NAMED.pw_uid, 61005, groups=[1, 2, 61007]), admin)
            self.assertEqual(self.level(daemon, STRANGER), "forbidden")

    def test_members_of_the_admin_group_may_do_everything_unless_a_list_says_less(self):
        with self.daemon({"admin.group": GROUP.gr_name, "admin.viewers": f"uid:{VIEWER}"}) as daemon:
            self.assertEqual(self.level(daemon, STRANGER, GROUP.gr_gid), ("admin", "admin.group"))
            self.assertEqual(self.level(daemon, STRANGER, 61000, groups=[GROUP.gr_gid]), ("admin", "admin.group"))
            self.assertEqual(self.level(daemon, VIEWER, GROUP.gr_gid), ("viewer", "admin.viewers"))
        with self.daemon({"admin.group": GROUP.gr_name, "admin.operators": f"group:{GROUP.gr_name}"}) as daemon:
            self.assertEqual(self.level(daemon, STRANGER, GROUP.gr_gid), ("operator", "admin.operators"))

    def test_root_and_the_daemons_own_user_may_do_everything(self):
        with self.daemon({"admin.viewers": f"uid:0,uid:{NAMED.pw_uid}"}) as daemon:
            self.assertEqual(self.level(daemon, 0), ("admin", "root"))
        own = self.daemon({"admin.viewers": f"uid:{NAMED.pw_uid}"}, before_start=lambda: (os.setgroups([]), os.setgid(NAMED.pw_gid),
                                                                                         os.setuid(NAMED.pw_uid)))
        os.chown(own.directory.name, NAMED.pw_uid, NAMED.pw_gid)
        # It must reach the socket that waits for its word that it is ready.
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        with own as daemon:
            self.assertEqual(self.level(daemon, NAMED.pw_uid), ("admin", "the daemon's own user"))
            self.assertEqual(self.level(daemon, STRANGER), "forbidden")

    def test_a_reload_concerns_those_who_are_connected(self):
        def config(text):
            return f"admin:\n  admins: [\"uid:{ADMIN}\"]\n{text}"
        with self.daemon(config=config(f"  operators: [\"uid:{OPERATOR}\"]\n")) as daemon, Peer(daemon, OPERATOR) as peer:
            self.assertEqual(peer.ask("whoami")["level"], "operator")
            daemon.write_config(config(f"  viewers: [\"uid:{OPERATOR}\"]\n"))
            daemon.admin("reload")
            self.assertEqual(peer.ask("whoami")["level"], "viewer")
            # Who takes his own rights away is answered, and then gone.
            with Peer(daemon, ADMIN) as admin:
                daemon.write_config("admin:\n  viewers: []\n")
                self.assertIn("report", admin.ask("reload"))
                self.assertEqual(admin.ask("whoami"), {})
            self.assertEqual(peer.ask("whoami"), {})
            self.assertEqual(self.level(daemon, ADMIN), "forbidden")

    def test_a_wrong_rule_is_refused_with_its_place(self):
        with self.daemon(config="admin:\n  viewers: []\n") as daemon:
            for rule in "uid:", "uid:-1", "uid:4294967295", "uid:1x", "gid:ann", "user:", "group:", "ann", "":
                with self.subTest(rule):
                    daemon.write_config(f"admin:\n  viewers: [\"{rule}\"]\n")
                    with self.assertRaises(AdminError) as error:
                        daemon.admin("reload")
                    self.assertIn("rtcd.yaml:2: admin.viewers:", str(error.exception))

    def test_the_socket_is_never_open_to_more_than_its_mode_says(self):
        # The file's mode is that of bind(2) itself, by the umask: seen by whoever watches the folder.
        # Leaks cannot be looked for beside another tracer.
        daemon = Daemon({"admin.mode": "0600"}, environment={"ASAN_OPTIONS": "detect_leaks=0"})
        tracer = ["strace", "-D", "-f", "-e", "trace=umask,bind,chmod,fchmod,fchmodat", "-o", os.path.join(daemon.directory.name, "trace")]
        if subprocess.run(["sh", "-c", "command -v strace"], stdout=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("there is no strace")
        daemon.arguments = tracer + daemon.arguments
        with daemon:
            self.assertEqual(os.stat(daemon.admin_path).st_mode & 0o777, 0o600)
            with open(os.path.join(daemon.directory.name, "trace"), encoding="utf-8") as file:
                trace = file.read()
            self.assertRegex(trace, r"umask\(0177\)[^\n]*\n[^\n]*bind\([^\n]*admin\.sock")
            self.assertNotIn("chmod", trace)

    def test_a_file_that_is_no_socket_and_a_live_one_are_left_alone(self):
        other = Daemon()
        with open(other.admin_path, "w", encoding="utf-8") as file:
            file.write("mine")
        self.assertRaises(AssertionError, other.start)
        with open(other.admin_path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "mine")
        os.unlink(other.admin_path)
        with socket.socket(socket.AF_UNIX) as live:
            live.bind(other.admin_path)
            live.listen()
            self.assertRaises(AssertionError, other.start)
            self.assertTrue(os.path.exists(other.admin_path))
        # Nobody listens on it any more, but it is somebody else's.
        os.chown(other.admin_path, STRANGER, 61000)
        self.assertRaises(AssertionError, other.start)
        os.chown(other.admin_path, 0, 0)
        # One that nobody listens on any more is replaced.
        with other as daemon:
            wait_until(lambda: daemon.admin("ping"), "an answer")


if __name__ == "__main__":
    unittest.main()
