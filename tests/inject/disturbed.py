"""Integration tests with daemons whose system calls are cut short, interrupted and told to try again, one in ten of them: nobody may
notice. disturbed.py FILE...; ends with "N passed, N failed".
"""

import os
import random
import sys
import unittest

from faults import HERE, Control
import harness

RATE = 100      # of 1000


def main():
    folder = os.path.join(os.path.dirname(HERE), "integration")
    control = Control()
    control.is_harmless, control.seed, control.call_rate = 1, random.getrandbits(32), RATE
    harness.ENVIRONMENT.update(control.environment())
    suite = unittest.TestSuite(unittest.defaultTestLoader.discover(folder, pattern=name) for name in sys.argv[1:])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(suite)
    bad = len(result.failures) + len(result.errors) + len(result.skipped)
    print(f"seed {control.seed}, {control.failed_calls} of {control.calls} calls disturbed")
    if control.failed_calls < 10:
        print("that is too few to tell anything")
        bad += 1
    print(f"{max(0, result.testsRun - bad)} passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
