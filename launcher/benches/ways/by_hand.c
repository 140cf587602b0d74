/* What InPlace does for a launch of which nothing else is asked, by hand: the same system calls in the same order, and nothing
 * beside them. The floor of what it can cost. */

#define _GNU_SOURCE
#include <linux/close_range.h>
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
    int error;
};

static int child(void *argument)
{
    struct launch *launch = argument;
    struct { uintptr_t handler, flags, restorer; uint64_t mask; } action = {0};
    struct rlimit limit;
    uint64_t none = 0;

    syscall(SYS_close_range, 1, 0, CLOSE_RANGE_UNSHARE);
    if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_UNSHARE) != 0)
        goto failed;
    if (launch->is_stone)
        goto exec;
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

/* The exit status of the program, or -1. Where there is a `stone`, that executes the program. */
int launch_by_hand(const char *program, const char *stone)
{
    static _Alignas(16) char stack[65536];
    char *plain[] = {(char *)program, 0}, *stepping[] = {(char *)stone, (char *)program, 0};
    struct launch launch = {stone ? stepping : plain, stone != 0, 0};
    uint64_t all = ~(uint64_t)0, before;
    siginfo_t how;
    int pidfd, id;

    getpid();
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, 0, &before, 8);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8);
    id = clone(child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PIDFD, &launch, &pidfd);
    if (id < 0)
        return -1;
    /* No child of that kind: it has executed the program. */
    if (syscall(SYS_waitid, P_PIDFD, pidfd, &how, WEXITED | __WCLONE, 0) != -1)
        return -1;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, 8);
    syscall(SYS_waitid, P_PIDFD, pidfd, &how, WEXITED, 0);
    close(pidfd);
    return launch.error ? -1 : how.si_status;
}
