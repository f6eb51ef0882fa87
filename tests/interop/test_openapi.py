"""What describes the API is read by a validator that nobody here wrote."""

import json
import os
import subprocess
import unittest

from api import ApiTest
from client import request
from harness import PATIENCE_S
from node_modules import install

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "check_openapi.cjs")


class OpenApi(ApiTest):
    def check(self, document):
        return subprocess.run(["node", SCRIPT], input=json.dumps(document), capture_output=True, text=True, check=False, timeout=PATIENCE_S,
                              env={**os.environ, "NODE_PATH": install()})

    def test_the_description_is_one(self):
        document = request(self.daemon.port, "GET", "/api/v1/openapi.json").json()
        checked = self.check(document)
        self.assertEqual((checked.returncode, checked.stdout), (0, f"3.1 {len(document['paths'])}\n"), checked.stderr)

    def test_a_wrong_one_would_be_found(self):
        document = request(self.daemon.port, "GET", "/api/v1/openapi.json").json()
        del document["paths"]["/publish"]["post"]["responses"]["200"]["description"]
        self.assertEqual(self.check(document).returncode, 1)
        document = request(self.daemon.port, "GET", "/api/v1/openapi.json").json()
        del document["components"]["schemas"]["Problem"]
        self.assertEqual(self.check(document).returncode, 1)


if __name__ == "__main__":
    unittest.main()
