/* posix_spawn(3) and posix_spawnp(3) by this library, for whatever program this is preloaded into (LD_PRELOAD).
 *
 * What a client with this interface still has to write by itself:
 *
 * - File actions happen one after the other, with this library all at once. So their outcome is worked out here: which of
 *   this process's descriptors each number is in the end. What they open is opened in this process, close-on-exec.
 * - Sets of signals as text.
 *
 * What it cannot do: see the functions that return ENOSYS. POSIX_SPAWN_RESETIDS comes after the files are opened, and takes
 * the saved user as well. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <exec_relay.h>

enum kind { OPEN, CLOSE, DUPLICATE, DIRECTORY, CLOSE_FROM };

struct action {
    enum kind kind;
    int descriptor, source, flags;
    mode_t mode;
    char *path;
};

/* What is in a posix_spawn_file_actions_t. All functions for it are here, so the C library never looks into one. */
struct actions {
    struct action *list;
    size_t count;
};

_Static_assert(sizeof(struct actions) <= sizeof(posix_spawn_file_actions_t), "no room for our own file actions");

int posix_spawn_file_actions_init(posix_spawn_file_actions_t *opaque) {
    *(struct actions *) opaque = (struct actions) {0};
    return 0;
}

int posix_spawn_file_actions_destroy(posix_spawn_file_actions_t *opaque) {
    struct actions *actions = (struct actions *) opaque;
    for (size_t i = 0; i < actions->count; i++)
        free(actions->list[i].path);
    free(actions->list);
    return posix_spawn_file_actions_init(opaque);
}

static int add(posix_spawn_file_actions_t *opaque, struct action action, const char *path) {
    struct actions *actions = (struct actions *) opaque;
    if (action.descriptor < 0 || action.source < 0)
        return EBADF;
    struct action *list = reallocarray(actions->list, actions->count + 1, sizeof *list);
    if (list == NULL)
        return ENOMEM;
    actions->list = list;
    if (path != NULL && (action.path = strdup(path)) == NULL)
        return ENOMEM;
    list[actions->count++] = action;
    return 0;
}

int posix_spawn_file_actions_addopen(
    posix_spawn_file_actions_t *actions, int descriptor, const char *path, int flags, mode_t mode) {
    return add(actions, (struct action) {.kind = OPEN, .descriptor = descriptor, .flags = flags, .mode = mode}, path);
}

int posix_spawn_file_actions_addclose(posix_spawn_file_actions_t *actions, int descriptor) {
    return add(actions, (struct action) {.kind = CLOSE, .descriptor = descriptor}, NULL);
}

int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int source, int descriptor) {
    return add(actions, (struct action) {.kind = DUPLICATE, .descriptor = descriptor, .source = source}, NULL);
}

int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path) {
    return add(actions, (struct action) {.kind = DIRECTORY}, path);
}

int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int descriptor) {
    return add(actions, (struct action) {.kind = CLOSE_FROM, .descriptor = descriptor}, NULL);
}

/* This library has no directory by a descriptor. */
int posix_spawn_file_actions_addfchdir_np(posix_spawn_file_actions_t *actions, int directory) {
    (void) actions, (void) directory;
    return ENOSYS;
}

/* Nor does it make a process group that of the terminal. */
int posix_spawn_file_actions_addtcsetpgrp_np(posix_spawn_file_actions_t *actions, int terminal) {
    (void) actions, (void) terminal;
    return ENOSYS;
}

enum { CLOSED = -1 };

/* What file actions come to: `number` is what `source` is in this process. A number that is not here is inherited. */
struct slot {
    int number, source;
};

struct outcome {
    struct slot *slots;
    size_t slot_count;
    /* What was opened in this process for it. */
    int *opened;
    size_t opened_count;
    /* NULL where it stays. */
    char *directory;
};

static void *grown(void *list, size_t count, size_t size) {
    return reallocarray(list, count + 1, size);
}

static int set(struct outcome *outcome, int number, int source) {
    for (size_t i = 0; i < outcome->slot_count; i++) {
        if (outcome->slots[i].number == number) {
            outcome->slots[i].source = source;
            return 0;
        }
    }
    struct slot *slots = grown(outcome->slots, outcome->slot_count, sizeof *slots);
    if (slots == NULL)
        return ENOMEM;
    outcome->slots = slots;
    slots[outcome->slot_count++] = (struct slot) {number, source};
    return 0;
}

static bool is_opened(const struct outcome *outcome, int descriptor) {
    for (size_t i = 0; i < outcome->opened_count; i++)
        if (outcome->opened[i] == descriptor)
            return true;
    return false;
}

static int source_of(const struct outcome *outcome, int number) {
    for (size_t i = 0; i < outcome->slot_count; i++)
        if (outcome->slots[i].number == number)
            return outcome->slots[i].source;
    return is_opened(outcome, number) || fcntl(number, F_GETFD) == -1 ? CLOSED : number;
}

/* NULL and errno where there is no memory. */
static char *join(const char *directory, const char *path) {
    char *joined;
    if (directory == NULL || path[0] == '/')
        return strdup(path);
    return asprintf(&joined, "%s/%s", directory, path) == -1 ? NULL : joined;
}

static int open_file(struct outcome *outcome, const struct action *action) {
    int *opened = grown(outcome->opened, outcome->opened_count, sizeof *opened);
    if (opened == NULL)
        return ENOMEM;
    outcome->opened = opened;
    char *path = join(outcome->directory, action->path);
    if (path == NULL)
        return ENOMEM;
    int file = open(path, action->flags | O_CLOEXEC, action->mode);
    free(path);
    if (file == -1)
        return errno;
    opened[outcome->opened_count++] = file;
    return set(outcome, action->descriptor, file);
}

static int close_from(struct outcome *outcome, int first) {
    for (size_t i = 0; i < outcome->slot_count; i++)
        if (outcome->slots[i].number >= first)
            outcome->slots[i].source = CLOSED;
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return errno;
    int error = 0;
    struct dirent *entry;
    while (error == 0 && (entry = readdir(directory)) != NULL) {
        int number = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && number >= first && number != dirfd(directory) && !is_opened(outcome, number))
            error = set(outcome, number, CLOSED);
    }
    closedir(directory);
    return error;
}

static int act(struct outcome *outcome, const struct action *action) {
    switch (action->kind) {
    case OPEN:
        return open_file(outcome, action);
    case CLOSE:
        return set(outcome, action->descriptor, CLOSED);
    case DUPLICATE: {
        int source = source_of(outcome, action->source);
        return source == CLOSED ? EBADF : set(outcome, action->descriptor, source);
    }
    case DIRECTORY: {
        char *directory = join(outcome->directory, action->path);
        free(outcome->directory);
        outcome->directory = directory;
        return directory == NULL ? ENOMEM : 0;
    }
    default:
        return close_from(outcome, action->descriptor);
    }
}

static void forget(struct outcome *outcome) {
    for (size_t i = 0; i < outcome->opened_count; i++)
        close(outcome->opened[i]);
    free(outcome->opened);
    free(outcome->slots);
    free(outcome->directory);
}

/* As text, the numbers of those signals for which sigismember(3) says this. KILL and STOP cannot be asked for. */
static void signals(ExecRelayLaunch *launch, const char *option, const sigset_t *set, int is_member) {
    char text[32 + 64 * sizeof "64,"];
    int start = sprintf(text, "%s", option), length = start;
    for (int signal = 1; signal <= 64; signal++)
        if (signal != SIGKILL && signal != SIGSTOP && sigismember(set, signal) == is_member)
            length += sprintf(text + length, "%c%d", length == start ? '=' : ',', signal);
    if (length > start)
        exec_relay_launch_option(launch, text);
}

static void scheduling(ExecRelayLaunch *launch, const posix_spawnattr_t *attributes, bool is_policy_set) {
    static const char *const names[] = {
        [SCHED_OTHER] = "other", [SCHED_FIFO] = "fifo", [SCHED_RR] = "rr", [SCHED_BATCH] = "batch", [SCHED_IDLE] = "idle"};
    int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
    struct sched_param parameter;
    posix_spawnattr_getschedparam(attributes, &parameter);
    if (is_policy_set)
        posix_spawnattr_getschedpolicy(attributes, &policy);
    bool is_known = policy >= 0 && (size_t) policy < sizeof names / sizeof *names && names[policy] != NULL;
    char option[64];
    int length = sprintf(option, "--sched=%s", is_known ? names[policy] : "");
    /* A priority that does not fit the policy is a mistake there as it is here. */
    if (parameter.sched_priority != 0)
        sprintf(option + length, ":%d", parameter.sched_priority);
    exec_relay_launch_option(launch, option);
}

static void real_user(ExecRelayLaunch *launch) {
    gid_t groups[NGROUPS_MAX];
    char *option;
    size_t size;
    FILE *text = open_memstream(&option, &size);
    if (text == NULL)
        abort();
    fprintf(text, "--user=%u:%u", getuid(), getgid());
    for (int i = 0, count = getgroups(NGROUPS_MAX, groups); i < count; i++)
        fprintf(text, ",%u", groups[i]);
    fclose(text);
    exec_relay_launch_option(launch, option);
    free(option);
}

static void set_attributes(ExecRelayLaunch *launch, const posix_spawnattr_t *attributes) {
    short flags = 0;
    sigset_t defaults, mask;
    sigemptyset(&defaults);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    if (attributes != NULL)
        posix_spawnattr_getflags(attributes, &flags);
    if (flags & POSIX_SPAWN_SETSIGDEF)
        posix_spawnattr_getsigdefault(attributes, &defaults);
    if (flags & POSIX_SPAWN_SETSIGMASK)
        posix_spawnattr_getsigmask(attributes, &mask);
    signals(launch, "--keep-ignored", &defaults, 0);
    signals(launch, "--block", &mask, 1);
    if (flags & POSIX_SPAWN_SETSID)
        exec_relay_launch_option(launch, "--setsid");
    if (flags & POSIX_SPAWN_SETPGROUP) {
        pid_t group;
        char option[64];
        posix_spawnattr_getpgroup(attributes, &group);
        sprintf(option, "--process-group=%d", group);
        exec_relay_launch_option(launch, option);
    }
    if (flags & (POSIX_SPAWN_SETSCHEDULER | POSIX_SPAWN_SETSCHEDPARAM))
        scheduling(launch, attributes, flags & POSIX_SPAWN_SETSCHEDULER);
    if (flags & POSIX_SPAWN_RESETIDS && (getuid() != geteuid() || getgid() != getegid()))
        real_user(launch);
}

static void set_descriptors(ExecRelayLaunch *launch, const struct outcome *outcome) {
    exec_relay_launch_option(launch, "--keep-inherited");
    for (size_t i = 0; i < outcome->slot_count; i++) {
        struct slot slot = outcome->slots[i];
        if (slot.source != CLOSED) {
            exec_relay_launch_fd(launch, slot.number, slot.source);
        } else if (slot.number <= 2) {
            exec_relay_launch_stdio(launch, slot.number, EXEC_RELAY_STDIO_CLOSED);
        } else {
            char option[64];
            sprintf(option, "--close=%d", slot.number);
            exec_relay_launch_option(launch, option);
        }
    }
}

/* How many programs were launched here, for whoever looks. */
atomic_int posix_spawn_shim_launches;

static int launch(
    pid_t *pid, const char *program, const struct outcome *outcome, const posix_spawnattr_t *attributes,
    char *const argv[], char *const envp[]) {
    ExecRelayLaunch *launch = exec_relay_launch_new(program);
    exec_relay_launch_keep_nofile(launch);
    if (argv[0] != NULL) {
        exec_relay_launch_argv0(launch, argv[0]);
        for (size_t i = 1; argv[i] != NULL; i++)
            exec_relay_launch_arg(launch, argv[i]);
    }
    exec_relay_launch_environment(launch, envp);
    if (outcome->directory != NULL)
        exec_relay_launch_current_dir(launch, outcome->directory);
    set_attributes(launch, attributes);
    set_descriptors(launch, outcome);
    ExecRelayChild *child;
    int error = -exec_relay_launch_start(launch, &child, NULL);
    exec_relay_launch_free(launch);
    if (error != 0)
        return error;
    posix_spawn_shim_launches++;
    pid_t launched = exec_relay_child_into_pid(child, NULL);
    if (pid != NULL)
        *pid = launched;
    return 0;
}

/* The absolute path of the program, to be freed; NULL and errno where there is none. */
static char *locate(const char *path, bool is_searched, const char *directory) {
    char found[PATH_MAX];
    if (!is_searched && path[0] == '/')
        return strdup(path);
    /* Without a slash it would be searched. */
    char *name = join(is_searched ? NULL : ".", path);
    if (name == NULL)
        return NULL;
    int length = exec_relay_find_program(name, getenv("PATH"), directory, found, sizeof found);
    free(name);
    if (length >= 0)
        return strdup(found);
    errno = -length;
    return NULL;
}

static int spawn(
    pid_t *pid, const char *path, bool is_searched, const posix_spawn_file_actions_t *opaque,
    const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
    struct outcome outcome = {0};
    int error = 0;
    const struct actions *actions = (const struct actions *) opaque;
    for (size_t i = 0; actions != NULL && error == 0 && i < actions->count; i++)
        error = act(&outcome, &actions->list[i]);
    if (error == 0) {
        char *program = locate(path, is_searched, outcome.directory);
        error = program == NULL ? errno : launch(pid, program, &outcome, attributes, argv, envp);
        free(program);
    }
    forget(&outcome);
    return error;
}

int posix_spawn(
    pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
    char *const argv[], char *const envp[]) {
    return spawn(pid, path, false, actions, attributes, argv, envp);
}

int posix_spawnp(
    pid_t *pid, const char *name, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
    char *const argv[], char *const envp[]) {
    return spawn(pid, name, true, actions, attributes, argv, envp);
}
