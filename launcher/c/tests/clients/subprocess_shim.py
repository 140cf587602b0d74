"""subprocess by this library: fork_exec() stands in for _posixsubprocess.fork_exec of CPython 3.11.

What a client with this interface still has to write by itself:

- What is ignored and blocked here stays so in the program, but for SIGPIPE and SIGXFSZ: as lists of numbers.
- A relative program is relative to the program's directory; the library wants it absolute.
- PATH: the candidates are tried one after the other, each by a launch.
- uid, gid and groups change alone; in the library they are one setting, so what is not asked for is told as it is.
- A descriptor may be passed and be replaced by a redirection as well; the library calls that a mistake.
- An error is the program's or that of a step before it: by the numbers of the last two steps.

What it cannot do: preexec_fn, which is code to be run in the new process.
"""

import _posixsubprocess
import ctypes
import errno
import os
import signal
import subprocess

library = ctypes.CDLL("libexec_relay.so.0")
library.exec_relay_launch_new.restype = ctypes.c_void_p

# How many programs were launched here.
launches = 0


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


# Exec and Interpreter.
STEPS_OF_THE_PROGRAM = (26, 27)


def install():
    """From now on subprocess goes by the library."""
    _posixsubprocess.fork_exec = subprocess._fork_exec = fork_exec
    # It goes around fork_exec.
    subprocess._USE_POSIX_SPAWN = False


def fork_exec(
    args, executable_list, close_fds, fds_to_keep, cwd, env_list,
    p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, errpipe_read, errpipe_write,
    restore_signals, start_new_session, process_group, gid, extra_groups, uid, umask, preexec_fn, allow_vfork,
):
    """Returns the number of the process. Raises what fails; CPython's own one writes it to errpipe_write."""
    arguments = [text(argument) for argument in args]
    candidates = [text(executable) for executable in executable_list]
    environment = None if env_list is None else [text(variable) for variable in env_list]
    directory = None if cwd is None else text(cwd)
    passed = checked(fds_to_keep)
    if preexec_fn is not None:
        raise NotImplementedError("preexec_fn")

    restored = {signal.SIGPIPE, signal.SIGXFSZ} if restore_signals else set()
    options = [numbers("--keep-ignored=", set(range(1, signal.NSIG)) - {signal.SIGKILL, signal.SIGSTOP} - restored)]
    if blocked := signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        options.append(numbers("--block=", blocked))
    if not close_fds:
        options.append("--keep-inherited")
    if start_new_session:
        options.append("--setsid")
    if process_group >= 0:
        options.append(f"--process-group={process_group}")
    if umask >= 0:
        options.append(f"--umask={umask:o}")
    if not uid is gid is extra_groups is None:
        options.append(identity(uid, gid, extra_groups))

    descriptors = {target: source for target, source in enumerate((p2cread, c2pwrite, errwrite)) if source != -1}
    for descriptor in passed:
        if descriptor != errpipe_write:
            descriptors.setdefault(descriptor, descriptor)

    error = 0
    for candidate in candidates:
        pid, failed = launch(candidate, arguments, environment, directory, options, descriptors)
        if failed is None:
            return pid
        if failed.step not in STEPS_OF_THE_PROGRAM:
            raise OSError(failed.error_number, os.strerror(failed.error_number), cwd)
        if error in (0, errno.ENOENT, errno.ENOTDIR):
            error = failed.error_number
    name = candidates[0] if len(candidates) == 1 else os.path.basename(candidates[0])
    raise OSError(error, os.strerror(error), os.fsdecode(name))


def launch(program, arguments, environment, directory, options, descriptors):
    """Returns the number of the process and None, or None and an Error."""
    global launches
    if not os.path.isabs(program):
        program = os.path.join(os.getcwdb(), directory or b"", program)
    handle = ctypes.c_void_p(library.exec_relay_launch_new(program))
    try:
        library.exec_relay_launch_keep_nofile(handle)
        library.exec_relay_launch_argv0(handle, arguments[0])
        for argument in arguments[1:]:
            library.exec_relay_launch_arg(handle, argument)
        if environment is not None:
            vector = (ctypes.c_char_p * (len(environment) + 1))(*environment)
            library.exec_relay_launch_environment(handle, vector)
        if directory is not None:
            library.exec_relay_launch_current_dir(handle, directory)
        for option in options:
            library.exec_relay_launch_option(handle, option.encode())
        for target, source in descriptors.items():
            library.exec_relay_launch_fd(handle, target, source)
        child, error = ctypes.c_void_p(), Error(size=ctypes.sizeof(Error))
        if library.exec_relay_launch_start(handle, ctypes.byref(child), ctypes.byref(error)) != 0:
            return None, error
        launches += 1
        return library.exec_relay_child_into_pid(child, None), None
    finally:
        library.exec_relay_launch_free(handle)


def text(value):
    """Strings of C have no NUL in them."""
    value = os.fsencode(value)
    if b"\0" in value:
        raise ValueError("embedded null byte")
    return value


def checked(descriptors):
    """Rising numbers of descriptors, as CPython's own one insists on."""
    before = -1
    for descriptor in descriptors:
        if not isinstance(descriptor, int) or not before < descriptor < 2**31:
            raise ValueError("bad value(s) in fds_to_keep")
        before = descriptor
    return descriptors


def numbers(option, values):
    return option + ",".join(str(int(value)) for value in values)


def identity(uid, gid, extra_groups):
    """Whichever is None stays."""
    uid = os.geteuid() if uid is None else uid
    gid = os.getegid() if gid is None else gid
    groups = os.getgroups() if extra_groups is None else extra_groups
    if max(uid, gid) >= 2**32:
        raise OverflowError("uid or gid is greater than maximum")
    if any(not 0 <= group < 2**32 for group in groups):
        raise ValueError("invalid group id")
    return numbers(f"--user={uid}:", [gid, *groups])
