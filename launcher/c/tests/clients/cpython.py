"""Runs tests of CPython's own, while a client of the library stands in for what Python itself starts programs by.

cpython.py MODULE AT_LEAST LAUNCHES CLASS...

Fails unless at least AT_LEAST tests were run, not counting those that skip themselves, and the client launched LAUNCHES
programs or more in this process alone. What is left out is run too, and must fail for the reason that is given here.
"""

import ctypes
import importlib
import os
import resource
import sys
import tempfile
import unittest

# By the reason, which is what the failure ends with.
LEFT_OUT = {
    # It is code to be run in the new process, and the library runs none of its host's there.
    "NotImplementedError: preexec_fn": [
        "test_subprocess.POSIXProcessTestCase.test_close_fds_after_preexec",
        "test_subprocess.POSIXProcessTestCase.test_preexec",
        "test_subprocess.POSIXProcessTestCase.test_preexec_errpipe_does_not_double_close_pipes",
        "test_subprocess.POSIXProcessTestCase.test_preexec_exception",
        "test_subprocess.POSIXProcessTestCase.test_preexec_fork_failure",
        "test_subprocess.POSIXProcessTestCase.test_preexec_gc_module_failure",
        "test_subprocess.POSIXProcessTestCase.test_surrogates_error_message",
    ],
}


def main(name, at_least, launches, *classes):
    module = importlib.import_module(f"test.{name}")
    suite = unittest.TestSuite()
    reasons = {f"test.{test}": reason for reason, tests in LEFT_OUT.items() for test in tests}
    for test_class in classes:
        for test in unittest.defaultTestLoader.loadTestsFromTestCase(getattr(module, test_class)):
            if test.id() in reasons:
                # One that succeeds all the same is then a failure.
                test.__unittest_expecting_failure__ = True
            suite.addTest(test)
    # As on most machines. One test opens as many as it may, and a million takes it long.
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with tempfile.TemporaryDirectory() as directory:
        # Some tests make files where they are.
        os.chdir(directory)
        result = unittest.TextTestRunner().run(suite)
        os.chdir("/")

    mistakes = [] if result.wasSuccessful() else ["not all tests succeeded, or one that is left out did"]
    for test, traceback in result.expectedFailures:
        if not traceback.rstrip().endswith(reasons[test.id()]):
            mistakes.append(f"{test.id()} is left out for another reason than this:\n{traceback}")
    run = result.testsRun - len(result.skipped)
    if run < int(at_least):
        mistakes.append(f"only {run} tests were run; skipped: {result.skipped}")
    counted = launches_by_the_library()
    if counted < int(launches):
        mistakes.append(f"the library launched {counted} programs only")
    print(f"{run} tests, {len(result.expectedFailures)} of which are left out, with {counted} launches by the library")
    sys.exit("\n".join(mistakes) or None)


def launches_by_the_library():
    """By the client in Python, and by the one that is preloaded."""
    shim = sys.modules.get("subprocess_shim")
    if shim is not None:
        return shim.launches
    return ctypes.c_int.in_dll(ctypes.CDLL(None), "posix_spawn_shim_launches").value


main(*sys.argv[1:])
