/* exec-relay: launches programs on a clean slate from multi-threaded hosts. See exec_relay(3).
 *
 * RESULTS. A function that can fail returns an int32_t: 0 or more where it succeeded, otherwise a negative errno,
 * -EINVAL for instance. errno itself means nothing afterwards.
 *
 * HANDLES. An ExecRelayLaunch or ExecRelayChild that is passed must not have been freed, and must not be NULL; the two
 * functions that free them let NULL be. One thread at a time may use a handle, and different threads different handles.
 * exec_relay_launch_start only reads its launch: several threads may start one launch at the same time.
 *
 * STRINGS end with a NUL and are copied. NULL is a mistake (-EINVAL) where nothing else is said.
 *
 * DESCRIPTORS that are passed are only lent. They stay the caller's, who keeps them open until the launch was started
 * for the last time. Descriptors that a function gives are close-on-exec, and the caller's to close.
 *
 * THREADS AND SIGNALS. No function is a cancellation point (pthreads(7)); none may be called by a signal handler.
 *
 * What stays in the process: from the first use of EXEC_RELAY_VEHICLE_RELAY on a file in memory, what
 * exec_relay_reserve reserves, and a process that was killed and did not die, until a later launch reaps it.
 *
 * C89 with the types of stdint.h, and C++. */

#ifndef EXEC_RELAY_H
#define EXEC_RELAY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header. */
#define EXEC_RELAY_VERSION "0.1.0"

/* The version of the library that the program runs with, "0.1.0" for instance. Libraries with the same soname can
 * take each other's place; a newer one may have more functions. */
const char *exec_relay_version(void);

/* ---- Errors ---------------------------------------------------------------------------------------------------- */

/* What kind of failure it is. Later releases may have more kinds. */
typedef enum ExecRelayKind {
    /* None. */
    EXEC_RELAY_KIND_NONE = 0,
    /* The request contradicts itself or cannot be expressed; nothing was tried. */
    EXEC_RELAY_KIND_REQUEST = 1,
    /* This process lacks what a launch needs, for instance a descriptor (EMFILE). */
    EXEC_RELAY_KIND_HOST = 2,
    /* No process could be made (EAGAIN, ENOMEM). */
    EXEC_RELAY_KIND_PROCESS = 3,
    /* The relay program is missing or cannot be run. */
    EXEC_RELAY_KIND_RELAY = 4,
    /* A step failed in the new process. */
    EXEC_RELAY_KIND_STEP = 5,
    /* The new process was gone before the program began (ECHILD). */
    EXEC_RELAY_KIND_KILLED = 6,
    /* The launch took too long (ETIMEDOUT). */
    EXEC_RELAY_KIND_TIMEOUT = 7,
    /* The relay program is of another version, or something else (EPROTO). */
    EXEC_RELAY_KIND_PROTOCOL = 8,
    /* One that this library has no number for. */
    EXEC_RELAY_KIND_OTHER = 9,
    /* The new process was gone, and nobody can tell whether the program had begun (ECHILD). */
    EXEC_RELAY_KIND_MAY_HAVE_BEGUN = 10
} ExecRelayKind;

/* A failure. It leaves nothing behind, no process and no descriptor, but for what `detail` says of a timeout.
 *
 *     ExecRelayError error = EXEC_RELAY_ERROR_INIT;
 *
 * The caller sets `size`, as that macro does; other languages set it to the size of the structure as they declare
 * it. The library writes that many bytes and no more. Later releases append members, so that programs which were
 * compiled with this header go on working. A size that no release had is a mistake: the function returns -EINVAL and
 * does nothing. */
typedef struct ExecRelayError {
    /* The size of this structure, set by the caller. */
    size_t size;
    /* An ExecRelayKind. */
    int32_t kind;
    /* For EXEC_RELAY_KIND_STEP the number of the step, as relay(1) lists them; else 0. */
    uint32_t step;
    /* The errno that the function returned, without its sign. */
    int32_t error_number;
    /* For EXEC_RELAY_KIND_STEP the number of the descriptor, signal, process, user, group, resource, capability or
     * attribute that the step concerns; of a step that this library does not know, what the relay says. For
     * EXEC_RELAY_KIND_REQUEST with EBADF the descriptor that was closed since it was lent. For
     * EXEC_RELAY_KIND_KILLED and EXEC_RELAY_KIND_MAY_HAVE_BEGUN how the process ended, as waitpid(2) has it. For
     * EXEC_RELAY_KIND_TIMEOUT 1 where the process was killed but is not dead yet, inside a call that the kernel does
     * not give up. Else 0. */
    int32_t detail;
    /* A sentence for the user, which ends with a NUL; cut off where it is too long. */
    char message[512];
} ExecRelayError;

#define EXEC_RELAY_ERROR_INIT {sizeof(ExecRelayError), EXEC_RELAY_KIND_NONE, 0, 0, 0, ""}

/* ---- A launch -------------------------------------------------------------------------------------------------- */

/* A program to be launched. The program finds what was asked for and nothing else: descriptors 0, 1 and 2 and no
 * others, all signals at their defaults, none blocked, and a soft limit of 1024 descriptors. Environment, directory,
 * user and the rest are this process's.
 *
 * The functions that change a launch return 0, or at once -EINVAL or -EBADF for a mistake. They need not be checked
 * one by one: a launch with a mistake cannot be started, and exec_relay_launch_start tells the first one in a
 * sentence. */
typedef struct ExecRelayLaunch ExecRelayLaunch;

/* A launched program, running or finished. */
typedef struct ExecRelayChild ExecRelayChild;

/* A launch of the program at this absolute path; PATH is not searched. Never NULL. Free it by
 * exec_relay_launch_free. */
ExecRelayLaunch *exec_relay_launch_new(const char *program);

/* Frees a launch. Nothing happens to what it has launched. */
void exec_relay_launch_free(ExecRelayLaunch *launch);

/* Any option of relay(1) as text, "--name=value" or "--name": "--umask=027", "--setsid", "--nofile=1024:hard",
 * "--ignore=PIPE,HUP", "--keep=5,7-9", "--keep-inherited", "--user=1000:1000", "--caps=none", "--limit=core=0",
 * "--unset=NAME", "--clear-env". Options take effect in the order of the calls.
 *
 * Not those that say where relay reports or that print something; and not "--fd", "--pulse", "--listen-fds" and
 * "--exec-fd", which name descriptors: exec_relay_launch_fd, exec_relay_launch_pulse, exec_relay_launch_listen_fd and
 * exec_relay_launch_exec_fd take them.
 *
 * With "--user" this process is not dumpable (PR_SET_DUMPABLE(2const)) until the program runs, unless a relay is
 * taken. */
int32_t exec_relay_launch_option(ExecRelayLaunch *launch, const char *option);

/* Adds an argument. */
int32_t exec_relay_launch_arg(ExecRelayLaunch *launch, const char *argument);

/* The program's argv[0]. Where this is not called it is the path. */
int32_t exec_relay_launch_argv0(ExecRelayLaunch *launch, const char *name);

/* Sets an environment variable. exec_relay_launch_option removes one ("--unset=NAME") or all ("--clear-env"). */
int32_t exec_relay_launch_env(ExecRelayLaunch *launch, const char *name, const char *value);

/* The whole environment: exactly these strings, in this order, ended by a NULL. They reach the program to the byte,
 * empty ones, doubled names and strings without "=" as well. NULL is this process's environment at the start, as
 * where this is not called. What was set or removed before is forgotten; what is set or removed afterwards changes
 * this. */
int32_t exec_relay_launch_environment(ExecRelayLaunch *launch, char *const *envp);

/* The program's current directory. */
int32_t exec_relay_launch_current_dir(ExecRelayLaunch *launch, const char *directory);

/* What one of the program's descriptors 0, 1 and 2 is. */
typedef enum ExecRelayStdio {
    /* The same as here; closed where it is closed here. */
    EXEC_RELAY_STDIO_INHERIT = 0,
    /* /dev/null. */
    EXEC_RELAY_STDIO_NULL = 1,
    /* A pipe: exec_relay_child_take_pipe gives its other end. */
    EXEC_RELAY_STDIO_PIPED = 2,
    /* Closed. */
    EXEC_RELAY_STDIO_CLOSED = 3
} ExecRelayStdio;

/* What the program's descriptor `target`, 0 to 2, is: an ExecRelayStdio. By default it is the same as here. */
int32_t exec_relay_launch_stdio(ExecRelayLaunch *launch, int32_t target, int32_t stdio);

/* The program's descriptor `target` is what `source` is here. Any permutation works. -EBADF where `source` is not
 * open. */
int32_t exec_relay_launch_fd(ExecRelayLaunch *launch, int32_t target, int32_t source);

/* Adds a listening socket; see sd_listen_fds(3). -EBADF where it is not open. */
int32_t exec_relay_launch_listen_fd(ExecRelayLaunch *launch, int32_t socket);

/* The program's cgroup, by a descriptor of its directory. The new process enters it before all else. -EBADF where
 * that is not open. exec_relay_launch_option(launch, "--cgroup=DIR") names one by its path; the last of both counts. */
int32_t exec_relay_launch_cgroup(ExecRelayLaunch *launch, int32_t directory);

/* Executes the file that this descriptor is open on. The path that exec_relay_launch_new got is then the program's
 * argv[0] alone, and need not be absolute. The program does not have the descriptor. A script needs it, under the
 * same number: exec_relay_launch_option(launch, "--keep=5"). -EBADF where it is not open. */
int32_t exec_relay_launch_exec_fd(ExecRelayLaunch *launch, int32_t file);

/* Gives the program one end of a pipe. The other end, which exec_relay_child_take_pulse gives, hangs up when the
 * program is gone, whoever reaps it. */
int32_t exec_relay_launch_pulse(ExecRelayLaunch *launch);

/* Leaves RLIMIT_NOFILE as it is here. Otherwise the soft limit is 1024, the most that select(2) can handle. */
int32_t exec_relay_launch_keep_nofile(ExecRelayLaunch *launch);

/* How many milliseconds the launch may take; a negative number for as long as it takes. Only a relay can keep to a
 * time: EXEC_RELAY_VEHICLE_RELAY is taken for it where no vehicle is chosen, and EXEC_RELAY_VEHICLE_IN_PLACE is a
 * mistake. Where this is not called, a launch by a relay may take 30,000. */
int32_t exec_relay_launch_timeout(ExecRelayLaunch *launch, int64_t milliseconds);

/* How a program gets from this process to its own. */
typedef enum ExecRelayVehicle {
    /* A child that shares this process's memory until it becomes the program. The default, unless only a relay can
     * do what was asked for: exec_relay_launch_timeout, or "--reset" of coredump-filter, thp, ksm, or all, which
     * belong to the memory. Then the default is the next one, and to choose this one is a mistake. */
    EXEC_RELAY_VEHICLE_IN_PLACE = 0,
    /* The relay program that this library carries, from a file in memory. */
    EXEC_RELAY_VEHICLE_RELAY = 1,
    /* The relay program at a path. */
    EXEC_RELAY_VEHICLE_RELAY_AT = 2
} ExecRelayVehicle;

/* How to launch the program: an ExecRelayVehicle. `path` is the relay's for EXEC_RELAY_VEHICLE_RELAY_AT; the others
 * do not look at it. */
int32_t exec_relay_launch_vehicle(ExecRelayLaunch *launch, int32_t vehicle, const char *path);

/* Launches the program. Returns 0 once the kernel runs it, with a child in `*child`; free that by
 * exec_relay_child_free or exec_relay_child_into_pid. Otherwise returns the negative errno, puts NULL into `*child`,
 * and says in `*error` what failed. `error` may be NULL. */
int32_t exec_relay_launch_start(const ExecRelayLaunch *launch, ExecRelayChild **child, ExecRelayError *error);

/* ---- A child --------------------------------------------------------------------------------------------------- */

/* Frees a child and closes its descriptors. The process goes on; one that has ended is reaped. */
void exec_relay_child_free(ExecRelayChild *child);

/* Frees a child as exec_relay_child_free does, but never reaps its process, and returns the process's number. From then
 * on it is the caller's to wait for, by waitpid(2) for instance. Not for a child whose end exec_relay_child_wait has
 * told: its number may be another process's by now.
 *
 * Where `pidfd` is not NULL, `*pidfd` becomes its pidfd, close-on-exec and the caller's to close. This never fails. */
int32_t exec_relay_child_into_pid(ExecRelayChild *child, int32_t *pidfd);

/* The process's number. */
int32_t exec_relay_child_pid(const ExecRelayChild *child);

/* Its pidfd, readable once the program has ended. It is the child's: do not close it. */
int32_t exec_relay_child_pidfd(const ExecRelayChild *child);

/* Takes the other end of the pulse. -EBADF where it was not asked for or has been taken. */
int32_t exec_relay_child_take_pulse(ExecRelayChild *child);

/* Takes the other end of the pipe that the program has as its descriptor `target`, 0 to 2. -EBADF where it was not
 * asked for or has been taken. */
int32_t exec_relay_child_take_pipe(ExecRelayChild *child, int32_t target);

/* Waits for the program's end, `milliseconds` at the most. A negative number waits for as long as it takes, and
 * first closes the other end of the program's standard input, unless that was taken, so that the program cannot wait
 * for it. Returns 1, with the status in `*status` as waitpid(2) has it; 0 where the program still runs; or -ECHILD
 * where somebody else has reaped it. Since Linux 6.15 the pidfd remembers the status even then. `status` may be
 * NULL. */
int32_t exec_relay_child_wait(ExecRelayChild *child, int64_t milliseconds, int32_t *status);

/* Sends a signal, by the pidfd: it never reaches another process. 0 where the program has been waited for already.
 * -ESRCH where somebody else has reaped it, -EINVAL for no signal, -EPERM; see pidfd_send_signal(2). */
int32_t exec_relay_child_signal(const ExecRelayChild *child, int32_t signal);

/* ---- Without handles ------------------------------------------------------------------------------------------- */

/* One call that does it all: launches the program at the absolute path `path`. Its descriptor `i` is what `fds[i]` is
 * here, or closed where that is -1, and it has no others. Limits are this process's.
 *
 * `argv` and `envp` end with a NULL. They are handed to the kernel as they are, and only the kernel reads them. NULL
 * for `argv` is `path` alone. NULL for `envp` is this process's own environment: where another thread calls setenv(3)
 * meanwhile, this process does not crash, but the launch may fail (-EFAULT, -E2BIG) or variables be wrong.
 *
 * Returns the number of the process, which the caller reaps by waitpid(2), or the negative errno: -EINVAL for a
 * request that cannot be expressed, -EBADF where a descriptor is not open, -ECHILD where the process was gone before
 * the program began or nobody can tell whether it had. */
int32_t exec_relay_spawn(const char *path, char *const *argv, char *const *envp, const int32_t *fds, size_t fd_count);

/* The absolute path of the program that execvp(3) would execute for `name`, for exec_relay_launch_new, which does not
 * search. `path` is a list of directories with colons between them, getenv("PATH") for instance; NULL is
 * "/bin:/usr/bin", which execvp(3) takes where PATH is not set. `directory` is where the program will run: a name with
 * a slash is joined to it, and so are relative directories in `path`. NULL is this process's.
 *
 * Writes the path and a NUL into `buffer`, which has `size` bytes, and returns the path's length. -ENOENT where
 * there is no such program, -EACCES where there are only such that this process may not execute, -ERANGE where the
 * buffer is too small. PATH_MAX bytes are enough for what a launch can execute. */
int32_t exec_relay_find_program(const char *name, const char *path, const char *directory, char *buffer, size_t size);

/* Reserves descriptors with low numbers for `count` launches at the same time, 32 at the most. -EMFILE where no number
 * below 64 is free any more.
 *
 * It is worth calling in a host that opens thousands of descriptors, early, before it does. Where a sandbox, Yama or
 * PR_SET_DUMPABLE forbids a child to fetch descriptors from its parent (pidfd_getfd(2)), a launch with pipes or
 * descriptors of high numbers otherwise makes the kernel copy all that is open. Each takes two descriptors,
 * close-on-exec, which stay open: one below 64, one above. A host that closes them, or forks, can call it again;
 * launches work without. */
int32_t exec_relay_reserve(int32_t count);

#ifdef __cplusplus
}
#endif

#endif
