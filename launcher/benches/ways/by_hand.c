/* What the vehicles do for a launch of which nothing else is asked, by hand: the same system calls in the same order, and
 * nothing beside them. The floors of what they can cost. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif

extern char **environ;

struct launch {
    /* What is executed, and its arguments. */
    char **arguments;
    /* Whether it is a stepping stone, which is left to clean. */
    int is_stone;
    /* Where it reports, or -1. */
    int report;
    /* Whose child it is. */
    int host;
    int error;
};

static int child(void *argument)
{
    struct launch *launch = argument;
    struct { uintptr_t handler, flags, restorer; uint64_t mask; } action = {0};
    struct rlimit limit;
    uint64_t none = 0;
    int is_high;

    syscall(SYS_close_range, 1, 0, CLOSE_RANGE_UNSHARE);
    is_high = launch->report >= 64;
    if (syscall(SYS_close_range, is_high || launch->report < 0 ? 3 : launch->report + 1, ~0U, CLOSE_RANGE_UNSHARE) != 0)
        goto failed;
    if (is_high) {
        int host = syscall(SYS_pidfd_open, launch->host, 0);

        launch->report = syscall(SYS_pidfd_getfd, host, launch->report, 0);
        syscall(SYS_close, host);
    }
    if (launch->is_stone) {
        /* Under this number, and not close-on-exec. */
        if (launch->report >= 0 && syscall(SYS_dup3, launch->report, 9, 0) != 9)
            goto failed;
        goto exec;
    }
    if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) != 0 ||
        syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &limit) != 0)
        goto failed;
    limit.rlim_cur = 1024;
    if (syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, 0) != 0)
        goto failed;
    for (int number = 1; number <= 64; number++)
        if (number != SIGKILL && number != SIGSTOP && syscall(SYS_rt_sigaction, number, &action, 0, 8) != 0)
            goto failed;
    if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8) != 0)
        goto failed;
exec:
    syscall(SYS_execve, launch->arguments[0], launch->arguments, environ);
failed:
    launch->error = 1;
    _exit(127);
}

/* Reads a stone's report to its end. Whether that was one record. */
static int is_ready(int report)
{
    struct pollfd hang_up = {report, 0, 0};
    char record[17];

    return syscall(SYS_ppoll, &hang_up, 1, 0, 0, 8) == 1 && syscall(SYS_read, report, record, sizeof record) == 16 &&
           syscall(SYS_read, report, record, sizeof record) == 0;
}

/* The exit status of the program, or -1. Where there is a `stone`, that executes the program, and where it `reports`, tells
 * that it is about to. */
int launch_by_hand(const char *program, const char *stone, int reports)
{
    static _Alignas(16) char stack[65536];
    char *plain[] = {(char *)program, 0}, *stepping[] = {(char *)stone, (char *)program, 0};
    struct launch launch = {stone ? stepping : plain, stone != 0, -1, getpid(), 0};
    uint64_t all = ~(uint64_t)0, before;
    siginfo_t how;
    int pidfd, id, kind = reports ? SIGCHLD : 0, pipe[2];

    if (reports) {
        if (syscall(SYS_pipe2, pipe, O_CLOEXEC | O_DIRECT) != 0)
            return -1;
        launch.report = pipe[1];
    }
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, 0, &before, 8);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8);
    id = clone(child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PIDFD | kind, &launch, &pidfd);
    if (id < 0)
        return -1;
    /* No child of that kind: it has executed the program. */
    if (!reports && syscall(SYS_waitid, P_PIDFD, pidfd, &how, WEXITED | __WCLONE, 0) != -1)
        return -1;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, 8);
    if (reports) {
        close(pipe[1]);
        if (!is_ready(pipe[0]))
            return -1;
        close(pipe[0]);
    }
    syscall(SYS_waitid, P_PIDFD, pidfd, &how, WEXITED, 0);
    close(pidfd);
    return launch.error ? -1 : how.si_status;
}
