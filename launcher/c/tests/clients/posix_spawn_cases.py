"""Writes to the file that is its argument what programs find that posix_spawn(3) starts with these file actions.

It is the same, whoever's function that is. Prints how many programs the library has launched.
"""

import ctypes
import os
import sys

libc = ctypes.CDLL(None)

# Here, 3 to 5 are the files a to c; 5 is close-on-exec, and nothing else is open but 0, 1 and 2.
CASES = {
    "nothing": [],
    "one is closed": [("close", 3)],
    "what is closed is closed": [("close", 6)],
    "one onto another": [("dup2", 3, 4)],
    "from close-on-exec": [("dup2", 5, 9)],
    "onto close-on-exec": [("dup2", 3, 5)],
    "close-on-exec onto itself": [("dup2", 5, 5)],
    "a swap": [("dup2", 3, 6), ("dup2", 4, 3), ("dup2", 6, 4), ("close", 6)],
    "one after the other, not at once": [("dup2", 3, 4), ("dup2", 4, 0)],
    "a high number": [("dup2", 3, 300)],
    "the standard ones": [("open", 0, "a", os.O_RDONLY), ("close", 1), ("dup2", 4, 2)],
    "all of the standard ones": [("close", 0), ("close", 1), ("close", 2)],
    "one that is made": [("open", 3, "made", os.O_WRONLY | os.O_CREAT), ("dup2", 3, 0), ("close", 3)],
    "one that is opened twice": [("open", 3, "b", os.O_RDONLY), ("open", 3, "c", os.O_RDONLY)],
    "a directory": [("chdir", "below"), ("open", 3, "d", os.O_RDONLY), ("chdir", ".."), ("open", 4, "a", os.O_RDONLY)],
    "all from one on": [("dup2", 3, 9), ("closefrom", 4)],
    "and one after that": [("closefrom", 3), ("open", 7, "a", os.O_RDONLY)],
    "no such file": [("open", 3, "missing", os.O_RDONLY)],
    "no such directory": [("chdir", "missing")],
    "from a closed one": [("dup2", 6, 7)],
    "from one that an action closed": [("close", 3), ("dup2", 3, 4)],
    # Where an own one is open that the function needed for the file.
    "from a closed one after a file": [("open", 9, "a", os.O_RDONLY), ("dup2", 6, 7)],
}

PROGRAM = """
import os, sys
with open(sys.argv[1], "w") as report:
    print(os.path.basename(os.getcwd()), file=report)
    for number in sorted(map(int, os.listdir("/proc/self/fd"))):
        if number != report.fileno() and os.path.exists(f"/proc/self/fd/{number}"):
            print(number, os.path.basename(os.readlink(f"/proc/self/fd/{number}")), file=report)
"""


def spawn(actions, report):
    """Returns the errno and the process."""
    # As large as a posix_spawn_file_actions_t at least.
    opaque = ctypes.create_string_buffer(256)
    libc.posix_spawn_file_actions_init(opaque)
    for kind, *operands in actions:
        operands = [os.fsencode(operand) if isinstance(operand, str) else operand for operand in operands]
        if kind == "open":
            operands.append(0o600)
        name = f"add{kind}_np" if kind in ("chdir", "closefrom") else f"add{kind}"
        assert getattr(libc, f"posix_spawn_file_actions_{name}")(opaque, *operands) == 0
    program = [os.fsencode(argument) for argument in (sys.executable, "-ISc", PROGRAM, report)]
    argv = (ctypes.c_char_p * (len(program) + 1))(*program)
    envp = (ctypes.c_char_p * 1)()
    pid = ctypes.c_int()
    failed = libc.posix_spawn(ctypes.byref(pid), program[0], opaque, None, argv, envp)
    libc.posix_spawn_file_actions_destroy(opaque)
    return failed, pid.value


os.mkdir("below")
for name in ("a", "b", "c", "below/d"):
    os.close(os.open(name, os.O_CREAT))
report = os.path.abspath("report")
os.closerange(3, 1024)
for number, name in ((3, "a"), (4, "b"), (5, "c")):
    assert os.open(name, os.O_RDWR) == number
    os.set_inheritable(number, number != 5)
found = []
for name, actions in CASES.items():
    failed, pid = spawn(actions, report)
    if failed != 0:
        found.append(f"{name}: {os.strerror(failed)}\n")
        continue
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with open(report) as said:
        found.append(f"{name}: {status}\n{said.read()}")
    os.remove(report)
with open(sys.argv[1], "w") as file:
    file.write("\n".join(found))
try:
    print(ctypes.c_int.in_dll(libc, "posix_spawn_shim_launches").value)
except ValueError:
    # It is not preloaded.
    print(0)
