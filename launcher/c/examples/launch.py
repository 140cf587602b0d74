"""The library from Python, by ctypes. Any language that can call C works alike.

LD_LIBRARY_PATH=/usr/local/lib python3 launcher/c/examples/launch.py
"""

import ctypes
import os

library = ctypes.CDLL("libexec_relay.so.0")
library.exec_relay_launch_new.restype = ctypes.c_void_p


class Error(ctypes.Structure):
    """struct ExecRelayError of exec_relay.h."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("kind", ctypes.c_int32),
        ("step", ctypes.c_uint32),
        ("error_number", ctypes.c_int32),
        ("detail", ctypes.c_int32),
        ("message", ctypes.c_char * 512),
    ]


PIPED = 2  # EXEC_RELAY_STDIO_PIPED


def launch(program, *arguments):
    """Launches a program with its standard output in a pipe. Returns the child."""
    handle = ctypes.c_void_p(library.exec_relay_launch_new(os.fsencode(program)))
    try:
        for argument in arguments:
            library.exec_relay_launch_arg(handle, os.fsencode(argument))
        library.exec_relay_launch_stdio(handle, 1, PIPED)
        child, error = ctypes.c_void_p(), Error(size=ctypes.sizeof(Error))
        if library.exec_relay_launch_start(handle, ctypes.byref(child), ctypes.byref(error)) != 0:
            raise OSError(error.error_number, error.message.decode())
        return child
    finally:
        library.exec_relay_launch_free(handle)


child = launch("/bin/echo", "hello from a clean slate")
with os.fdopen(library.exec_relay_child_take_pipe(child, 1)) as output:
    print("the program said:", output.read().strip())
status = ctypes.c_int32()
assert library.exec_relay_child_wait(child, ctypes.c_int64(-1), ctypes.byref(status)) == 1
print("it ended with status", os.waitstatus_to_exitcode(status.value))
library.exec_relay_child_free(child)

try:
    launch("/no/such/program")
except OSError as error:
    print(error.strerror)
