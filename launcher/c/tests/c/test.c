/* Uses the library as a C host does. Prints nothing and returns 0 where all is well. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec_relay.h"

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
            exit(1); \
        } \
    } while (0)

static void read_all(int fd, char *text, size_t size) {
    size_t length = 0;
    ssize_t count;
    while ((count = read(fd, text + length, size - 1 - length)) > 0)
        length += (size_t) count;
    text[length] = 0;
    close(fd);
}

static void launches(ExecRelayVehicle vehicle) {
    ExecRelayError error = EXEC_RELAY_ERROR_INIT;
    ExecRelayChild *child = NULL;
    ExecRelayLaunch *launch = exec_relay_launch_new("/bin/sh");
    exec_relay_launch_vehicle(launch, vehicle, NULL);
    exec_relay_launch_arg(launch, "-c");
    exec_relay_launch_arg(launch, "read line; echo $line $NAME >&7; exit 3");
    exec_relay_launch_env(launch, "NAME", "value");
    exec_relay_launch_stdio(launch, 0, EXEC_RELAY_STDIO_PIPED);
    exec_relay_launch_pulse(launch);
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    exec_relay_launch_fd(launch, 7, ends[1]);
    CHECK(exec_relay_launch_start(launch, &child, &error) == 0);
    exec_relay_launch_free(launch);
    close(ends[1]);

    CHECK(exec_relay_child_pid(child) > 0);
    int status = -1;
    CHECK(exec_relay_child_wait(child, 0, &status) == 0);
    int input = exec_relay_child_take_pipe(child, 0), pulse = exec_relay_child_take_pulse(child);
    CHECK(input >= 0 && pulse >= 0 && exec_relay_child_take_pipe(child, 1) == -EBADF &&
          exec_relay_child_take_pipe(child, 0) == -EBADF && exec_relay_child_take_pipe(child, 3) == -EINVAL &&
          exec_relay_child_take_pulse(child) == -EBADF);
    CHECK(write(input, "hello\n", 6) == 6);
    close(input);
    char said[64];
    read_all(ends[0], said, sizeof said);
    CHECK(strcmp(said, "hello value\n") == 0);
    struct pollfd hang_up = {.fd = pulse};
    CHECK(poll(&hang_up, 1, -1) == 1 && hang_up.revents & POLLHUP);
    close(pulse);
    CHECK(exec_relay_child_wait(child, -1, &status) == 1);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    exec_relay_child_free(child);
}

static void failures(ExecRelayVehicle vehicle) {
    ExecRelayError error = EXEC_RELAY_ERROR_INIT;
    ExecRelayChild *child = (ExecRelayChild *) &error;
    ExecRelayLaunch *launch = exec_relay_launch_new("/no/such/program");
    CHECK(exec_relay_launch_vehicle(launch, vehicle, NULL) == 0);
    CHECK(exec_relay_launch_start(launch, &child, &error) == -ENOENT && child == NULL);
    CHECK(error.size == sizeof error && error.kind == EXEC_RELAY_KIND_STEP && error.step == 26);
    CHECK(error.error_number == ENOENT);
    CHECK(strcmp(error.message, "cannot start /no/such/program: no such file (ENOENT)") == 0);
    CHECK(exec_relay_launch_start(launch, &child, NULL) == -ENOENT);
    CHECK(exec_relay_launch_fd(launch, 5, 12345) == -EBADF);
    CHECK(exec_relay_launch_start(launch, &child, &error) == -EBADF);
    CHECK(error.kind == EXEC_RELAY_KIND_REQUEST && strstr(error.message, "descriptor 12345 is not open"));
    exec_relay_launch_free(launch);
    exec_relay_launch_free(NULL);
    exec_relay_child_free(NULL);
}

/* A mistake is told at once by its errno, and by the launch in a sentence: the first one. What is right is not refused
 * after a mistake. */
static void mistakes(void) {
    ExecRelayError error = EXEC_RELAY_ERROR_INIT;
    ExecRelayChild *child;
    ExecRelayLaunch *launch = exec_relay_launch_new("/bin/true");
    CHECK(exec_relay_launch_stdio(launch, 0, 99) == -EINVAL && exec_relay_launch_stdio(launch, 3, 0) == -EINVAL);
    CHECK(exec_relay_launch_stdio(launch, 0, EXEC_RELAY_STDIO_NULL) == 0);
    CHECK(exec_relay_launch_option(launch, "--no-such") == -EINVAL && exec_relay_launch_option(launch, NULL) == -EINVAL);
    CHECK(exec_relay_launch_option(launch, "--umask=8") == -EINVAL && exec_relay_launch_option(launch, "--umask=7") == 0);
    CHECK(exec_relay_launch_arg(launch, NULL) == -EINVAL && exec_relay_launch_arg(launch, "") == 0);
    CHECK(exec_relay_launch_argv0(launch, NULL) == -EINVAL && exec_relay_launch_argv0(launch, "name") == 0);
    CHECK(exec_relay_launch_env(launch, NULL, "value") == -EINVAL && exec_relay_launch_env(launch, "A", NULL) == -EINVAL);
    CHECK(exec_relay_launch_env(launch, "A=B", "value") == -EINVAL && exec_relay_launch_env(launch, "A", "") == 0);
    CHECK(exec_relay_launch_current_dir(launch, NULL) == -EINVAL && exec_relay_launch_current_dir(launch, "/") == 0);
    CHECK(exec_relay_launch_fd(launch, -1, 0) == -EINVAL && exec_relay_launch_fd(launch, 5, 0) == 0);
    CHECK(exec_relay_launch_fd(launch, 5, -1) == -EBADF && exec_relay_launch_listen_fd(launch, -1) == -EBADF);
    CHECK(exec_relay_launch_cgroup(launch, 12345) == -EBADF && exec_relay_launch_exec_fd(launch, 12345) == -EBADF);
    CHECK(exec_relay_launch_vehicle(launch, 99, NULL) == -EINVAL && exec_relay_launch_vehicle(launch, 2, NULL) == -EINVAL);
    CHECK(exec_relay_launch_vehicle(launch, EXEC_RELAY_VEHICLE_RELAY, NULL) == 0);
    CHECK(exec_relay_launch_timeout(launch, -1) == 0 && exec_relay_launch_keep_nofile(launch) == 0);
    CHECK(exec_relay_launch_pulse(launch) == 0 && exec_relay_launch_environment(launch, NULL) == 0);
    CHECK(exec_relay_launch_start(launch, &child, &error) == -EINVAL && error.kind == EXEC_RELAY_KIND_REQUEST);
    CHECK(error.error_number == EINVAL && strcmp(error.message, "cannot launch: 99 is no ExecRelayStdio") == 0);
    exec_relay_launch_free(launch);
    launch = exec_relay_launch_new(NULL);
    CHECK(exec_relay_launch_start(launch, &child, NULL) == -EINVAL);
    exec_relay_launch_free(launch);
    launch = exec_relay_launch_new("/bin/true");
    CHECK(exec_relay_launch_vehicle(launch, EXEC_RELAY_VEHICLE_RELAY_AT, "/no/such/relay") == 0);
    CHECK(exec_relay_launch_start(launch, &child, &error) == -ENOENT && error.kind == EXEC_RELAY_KIND_RELAY);
    /* It ends without a report, since it is no relay. */
    CHECK(exec_relay_launch_vehicle(launch, EXEC_RELAY_VEHICLE_RELAY_AT, "/bin/false") == 0);
    CHECK(exec_relay_launch_start(launch, &child, &error) == -EPROTO && error.kind == EXEC_RELAY_KIND_PROTOCOL);
    exec_relay_launch_free(launch);
}

/* A structure of another release: what this one does not know is 0, and nothing behind the size is touched. */
static void sizes(void) {
    struct {
        ExecRelayError known;
        char later[100], others[8];
    } error;
    ExecRelayChild *child = NULL;
    ExecRelayLaunch *launch = exec_relay_launch_new("/no/such/program");
    memset(&error, 'x', sizeof error);
    size_t size = (size_t) (error.others - (char *) &error);
    error.known.size = size;
    CHECK(exec_relay_launch_start(launch, &child, &error.known) == -ENOENT);
    CHECK(error.known.size == size && error.known.error_number == ENOENT);
    for (size_t index = 0; index < sizeof error.later; index++)
        CHECK(error.later[index] == 0);
    CHECK(memcmp(error.others, "xxxxxxxx", 8) == 0);
    /* Those that no release had. */
    const size_t wrong[] = {0, 8, sizeof error.known - 1, 4097, (size_t) -1};
    for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++) {
        memset(&error, 'x', sizeof error);
        error.known.size = wrong[index];
        CHECK(exec_relay_launch_start(launch, &child, &error.known) == -EINVAL && error.known.message[0] == 'x');
    }
    exec_relay_launch_free(launch);
    /* All went well, so it says nothing. */
    memset(&error, 'x', sizeof error);
    error.known.size = sizeof error.known;
    launch = exec_relay_launch_new("/bin/true");
    CHECK(exec_relay_launch_start(launch, &child, &error.known) == 0);
    CHECK(error.known.kind == EXEC_RELAY_KIND_NONE && error.known.error_number == 0 && error.known.message[0] == 0);
    CHECK(error.later[0] == 'x');
    CHECK(exec_relay_child_wait(child, -1, NULL) == 1);
    exec_relay_child_free(child);
    exec_relay_launch_free(launch);
}

/* Programs by their names, and where they are started. */
static void finds(void) {
    char found[4096], exact[8];
    int length = exec_relay_find_program("sh", "/no/such:/bin", NULL, found, sizeof found);
    CHECK(length == 7 && strcmp(found, "/bin/sh") == 0);
    CHECK(exec_relay_find_program("sh", NULL, NULL, found, sizeof found) == 7 && strcmp(found, "/bin/sh") == 0);
    CHECK(exec_relay_find_program("sh", "bin", "/", exact, 8) == 7 && strcmp(exact, "/bin/sh") == 0);
    memset(exact, 'x', sizeof exact);
    CHECK(exec_relay_find_program("sh", "bin", "/", exact, 7) == -ERANGE && exact[0] == 'x');
    CHECK(exec_relay_find_program("sh", "bin", "/", NULL, 0) == -ERANGE);
    CHECK(exec_relay_find_program("bin/sh", "/no/such", "/", found, sizeof found) == 7);
    CHECK(exec_relay_find_program("no-such-program", "/bin", NULL, found, sizeof found) == -ENOENT);
    CHECK(exec_relay_find_program("passwd", "/etc", NULL, found, sizeof found) == -EACCES);
    CHECK(exec_relay_find_program(NULL, "/bin", NULL, found, sizeof found) == -EINVAL);
    /* Below this process's directory. */
    char here[4096];
    CHECK(getcwd(here, sizeof here) != NULL);
    length = exec_relay_find_program("./name", NULL, NULL, found, sizeof found);
    CHECK(length > 0 && strncmp(found, here, strlen(here)) == 0 && strcmp(found + length - 5, "/name") == 0);
}

/* The number and a pidfd, for a host that waits itself. */
static void into_pid(ExecRelayVehicle vehicle) {
    for (int with_pidfd = 0; with_pidfd < 2; with_pidfd++) {
        ExecRelayError error = EXEC_RELAY_ERROR_INIT;
        ExecRelayChild *child = NULL;
        ExecRelayLaunch *launch = exec_relay_launch_new("/bin/sh");
        exec_relay_launch_vehicle(launch, vehicle, NULL);
        exec_relay_launch_arg(launch, "-c");
        exec_relay_launch_arg(launch, "exit 4");
        CHECK(exec_relay_launch_start(launch, &child, &error) == 0);
        exec_relay_launch_free(launch);
        int before = exec_relay_child_pid(child), pidfd = -1, status;
        /* It has ended, and is not reaped. */
        struct pollfd ended = {.fd = exec_relay_child_pidfd(child), .events = POLLIN};
        CHECK(poll(&ended, 1, -1) == 1);
        int pid = exec_relay_child_into_pid(child, with_pidfd ? &pidfd : NULL);
        CHECK(pid == before && (pidfd >= 0) == with_pidfd);
        if (with_pidfd) {
            CHECK(fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
            ended.fd = pidfd;
            CHECK(poll(&ended, 1, 0) == 1);
            close(pidfd);
        }
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 4);
    }
}

/* Whole environments, to the byte. */
static void environments(ExecRelayVehicle vehicle) {
    static const char given[] = "A=1\0=x\0\0no equals sign\0A=2", edited[] = "NEW=\0=x\0\0no equals sign";
    char *envp[] = {"A=1", "=x", "", "no equals sign", "A=2", NULL};
    for (int how = 0; how < 4; how++) {
        ExecRelayError error = EXEC_RELAY_ERROR_INIT;
        ExecRelayChild *child = NULL;
        ExecRelayLaunch *launch = exec_relay_launch_new("/bin/cat");
        exec_relay_launch_vehicle(launch, vehicle, NULL);
        exec_relay_launch_arg(launch, "/proc/self/environ");
        exec_relay_launch_stdio(launch, 1, EXEC_RELAY_STDIO_PIPED);
        CHECK(exec_relay_launch_env(launch, "FORGOTTEN", "value") == 0);
        CHECK(exec_relay_launch_environment(launch, envp) == 0);
        if (how == 1) {
            CHECK(exec_relay_launch_option(launch, "--unset=A") == 0 && exec_relay_launch_env(launch, "NEW", "") == 0);
        } else if (how == 2) {
            CHECK(exec_relay_launch_environment(launch, envp + 5) == 0);
        } else if (how == 3) {
            CHECK(exec_relay_launch_environment(launch, NULL) == 0);
        }
        CHECK(exec_relay_launch_start(launch, &child, &error) == 0);
        exec_relay_launch_free(launch);
        static char said[1 << 20];
        size_t length = 0;
        ssize_t count;
        int output = exec_relay_child_take_pipe(child, 1);
        while ((count = read(output, said + length, sizeof said - length)) > 0)
            length += (size_t) count;
        close(output);
        CHECK(exec_relay_child_wait(child, -1, NULL) == 1);
        exec_relay_child_free(child);
        if (how == 0) {
            CHECK(length == sizeof given && memcmp(said, given, length) == 0);
        } else if (how == 1) {
            CHECK(length == sizeof edited && memcmp(said, edited, length) == 0);
        } else if (how == 2) {
            CHECK(length == 0);
        } else {
            /* This process's own. */
            char *place = said;
            for (char **own = environ; *own != NULL; place += strlen(place) + 1, own++)
                CHECK(place < said + length && strcmp(place, *own) == 0);
            CHECK(place == said + length);
        }
    }
}

static void options(ExecRelayVehicle vehicle) {
    ExecRelayError error = EXEC_RELAY_ERROR_INIT;
    ExecRelayChild *child = NULL;
    ExecRelayLaunch *launch = exec_relay_launch_new("/bin/sh");
    exec_relay_launch_vehicle(launch, vehicle, NULL);
    exec_relay_launch_arg(launch, "-c");
    exec_relay_launch_arg(launch, "test $(umask) = 0027 && test $PWD = / && test \"$A\" = b=c && test -z \"$HOME\"");
    exec_relay_launch_option(launch, "--umask=027");
    exec_relay_launch_option(launch, "--chdir=/");
    exec_relay_launch_option(launch, "--unset=HOME");
    exec_relay_launch_option(launch, "--env=A=b=c");
    exec_relay_launch_option(launch, "--setsid");
    CHECK(exec_relay_launch_start(launch, &child, &error) == 0);
    int status = -1;
    CHECK(exec_relay_child_wait(child, -1, &status) == 1 && status == 0);
    exec_relay_child_free(child);
    exec_relay_launch_option(launch, "--umask=8");
    CHECK(exec_relay_launch_start(launch, &child, &error) == -EINVAL && error.kind == EXEC_RELAY_KIND_REQUEST);
    CHECK(strcmp(error.message, "cannot launch: \"--umask=8\" has a malformed value") == 0);
    exec_relay_launch_free(launch);
}

/* The program is a file, whatever it is called, and it is not open in it. */
static void a_file(ExecRelayVehicle vehicle) {
    ExecRelayError error = EXEC_RELAY_ERROR_INIT;
    ExecRelayChild *child = NULL;
    int file = open("/bin/sh", O_PATH | O_CLOEXEC);
    CHECK(file >= 0);
    ExecRelayLaunch *launch = exec_relay_launch_new("any name");
    exec_relay_launch_vehicle(launch, vehicle, NULL);
    exec_relay_launch_exec_fd(launch, file);
    char script[100];
    snprintf(script, sizeof script, "test \"$0\" = 'any name' && test ! -e /proc/self/fd/%d", file);
    exec_relay_launch_arg(launch, "-c");
    exec_relay_launch_arg(launch, script);
    CHECK(exec_relay_launch_start(launch, &child, &error) == 0);
    int status = -1;
    CHECK(exec_relay_child_wait(child, -1, &status) == 1 && status == 0);
    exec_relay_child_free(child);
    exec_relay_launch_exec_fd(launch, 12345);
    CHECK(exec_relay_launch_start(launch, &child, &error) == -EBADF);
    CHECK(error.kind == EXEC_RELAY_KIND_REQUEST && strstr(error.message, "descriptor 12345 is not open"));
    exec_relay_launch_free(launch);
    close(file);
}

/* A directory that is none of a cgroup, by descriptor and by path. Where this is root, a cgroup that is one. */
static void a_cgroup(ExecRelayVehicle vehicle) {
    ExecRelayError error = EXEC_RELAY_ERROR_INIT;
    ExecRelayChild *child = NULL;
    int directory = open("/", O_PATH | O_CLOEXEC);
    CHECK(directory >= 0);
    ExecRelayLaunch *launch = exec_relay_launch_new("/bin/sh");
    exec_relay_launch_vehicle(launch, vehicle, NULL);
    exec_relay_launch_cgroup(launch, directory);
    CHECK(exec_relay_launch_start(launch, &child, &error) == -ENOENT);
    CHECK(error.kind == EXEC_RELAY_KIND_STEP && error.step == 31 && error.error_number == ENOENT);
    CHECK(error.detail == directory);
    exec_relay_launch_option(launch, "--cgroup=/no/such");
    CHECK(exec_relay_launch_start(launch, &child, &error) == -ENOENT && error.step == 31 && error.detail == 0);
    CHECK(strcmp(error.message, "cannot start /bin/sh: cannot enter cgroup /no/such: no such file (ENOENT)") == 0);
    close(directory);

    static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    for (int index = 0; index < 2; index++) {
        char path[100], script[100];
        snprintf(path, sizeof path, "%s/exec-relay-c-%d-%d", roots[index], getpid(), vehicle);
        char procs[100];
        snprintf(procs, sizeof procs, "%s/cgroup.procs", roots[index]);
        if (access(procs, W_OK) != 0 || (mkdir(path, 0755) != 0 && errno != EEXIST))
            continue;
        directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        exec_relay_launch_cgroup(launch, directory);
        snprintf(script, sizeof script, "grep -q exec-relay-c-%d-%d /proc/self/cgroup", getpid(), vehicle);
        exec_relay_launch_arg(launch, "-c");
        exec_relay_launch_arg(launch, script);
        CHECK(exec_relay_launch_start(launch, &child, &error) == 0);
        int status = -1;
        CHECK(exec_relay_child_wait(child, -1, &status) == 1 && status == 0);
        exec_relay_child_free(child);
        close(directory);
        rmdir(path);
        break;
    }
    exec_relay_launch_free(launch);
}

/* What fails is told by its number. */
static void attributes(ExecRelayVehicle vehicle) {
    ExecRelayError error = EXEC_RELAY_ERROR_INIT;
    ExecRelayChild *child = NULL;
    ExecRelayLaunch *launch = exec_relay_launch_new("/bin/true");
    exec_relay_launch_vehicle(launch, vehicle, NULL);
    exec_relay_launch_option(launch, "--limit=core=2:1");
    CHECK(exec_relay_launch_start(launch, &child, &error) == -EINVAL);
    CHECK(error.kind == EXEC_RELAY_KIND_STEP && error.step == 39 && error.error_number == EINVAL && error.detail == 4);
    CHECK(strcmp(error.message, "cannot start /bin/true: cannot set limit core: invalid (EINVAL)") == 0);
    exec_relay_launch_free(launch);
}

/* A time takes a relay, which is chosen for it, and in place it is a mistake. */
static void a_timeout(void) {
    ExecRelayError error = EXEC_RELAY_ERROR_INIT;
    ExecRelayChild *child = NULL;
    ExecRelayLaunch *launch = exec_relay_launch_new("/bin/true");
    exec_relay_launch_timeout(launch, 60000);
    CHECK(exec_relay_launch_start(launch, &child, &error) == 0);
    CHECK(waitpid(exec_relay_child_pid(child), NULL, 0) > 0);
    exec_relay_child_free(child);
    exec_relay_launch_vehicle(launch, EXEC_RELAY_VEHICLE_IN_PLACE, NULL);
    CHECK(exec_relay_launch_start(launch, &child, &error) == -EINVAL);
    CHECK(error.kind == EXEC_RELAY_KIND_REQUEST && strstr(error.message, "cannot be ended after 60000 ms") != NULL);
    exec_relay_launch_timeout(launch, -1);
    CHECK(exec_relay_launch_start(launch, &child, &error) == 0);
    CHECK(waitpid(exec_relay_child_pid(child), NULL, 0) > 0);
    exec_relay_child_free(child);
    exec_relay_launch_free(launch);
}

static void one_call(void) {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    char *argv[] = {"sh", "-c", "echo $0 $ONLY $(env | wc -l); kill -TERM $$", NULL};
    char *envp[] = {"ONLY=this", "PATH=/usr/bin:/bin", "PWD=/", NULL};
    int fds[] = {-1, ends[1]};
    int id = exec_relay_spawn("/bin/sh", argv, envp, fds, 2);
    CHECK(id > 0);
    close(ends[1]);
    char said[64];
    read_all(ends[0], said, sizeof said);
    CHECK(strncmp(said, "sh this ", 8) == 0);
    int status;
    CHECK(waitpid(id, &status, 0) == id && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK(exec_relay_spawn("/no/such/program", argv, NULL, NULL, 0) == -ENOENT);
    CHECK(exec_relay_spawn("relative", argv, NULL, NULL, 0) == -EINVAL);
    CHECK(exec_relay_spawn(NULL, argv, NULL, NULL, 0) == -EINVAL);
    int closed[] = {12345};
    CHECK(exec_relay_spawn("/bin/sh", argv, NULL, closed, 1) == -EBADF);
    CHECK(waitpid(-1, &status, 0) == -1 && errno == ECHILD);
}

/* Processes that a thread has started, so that each can be accounted for. */
struct started {
    int ids[1000];
    int count;
};

static void *spawns(void *argument) {
    struct started *started = argument;
    char *argv[] = {"true", NULL};
    while (started->count < 1000) {
        int id = exec_relay_spawn("/bin/true", argv, NULL, NULL, 0);
        CHECK(id > 0);
        started->ids[started->count++] = id;
        pthread_testcancel();
    }
    return NULL;
}

/* A cancelled thread leaves no process that nobody knows. */
static void cancelled(void) {
    static struct started started[20];
    pthread_t threads[20];
    for (int index = 0; index < 20; index++) {
        CHECK(pthread_create(&threads[index], NULL, spawns, &started[index]) == 0);
        usleep(1000);
        CHECK(pthread_cancel(threads[index]) == 0);
    }
    for (int index = 0; index < 20; index++) {
        void *result;
        CHECK(pthread_join(threads[index], &result) == 0 && result == PTHREAD_CANCELED);
        for (int count = 0; count < started[index].count; count++)
            CHECK(waitpid(started[index].ids[count], NULL, 0) == started[index].ids[count]);
    }
    CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

static volatile int over;

static void *changes_environment(void *unused) {
    char name[32];
    for (int count = 0; !over; count++) {
        snprintf(name, sizeof name, "VARIABLE_%d", count % 5000);
        if (count / 5000 % 2 == 0)
            setenv(name, "value", 1);
        else
            unsetenv(name);
    }
    return unused;
}

/* The environment of a host that changes it all the time is not read here, only by the kernel. */
static void changing_environment(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, changes_environment, NULL) == 0);
    char *argv[] = {"true", NULL};
    for (int count = 0; count < 500; count++) {
        int id = exec_relay_spawn("/bin/true", argv, NULL, NULL, 0);
        /* The kernel may have met a vector that was just freed. */
        CHECK(id > 0 || id == -EFAULT || id == -E2BIG);
        if (id > 0)
            CHECK(waitpid(id, NULL, 0) == id);
    }
    over = 1;
    CHECK(pthread_join(thread, NULL) == 0);
}

/* The command line of a program that was started with this vector, as the kernel has it. */
static ssize_t command_line(char *const *argv, char *line, size_t size) {
    int in[2], out[2];
    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    int fds[] = {in[0], out[1]};
    int id = exec_relay_spawn("/bin/cat", argv, NULL, fds, 2);
    CHECK(id > 0);
    close(in[0]);
    close(out[1]);
    /* The kernel notes the command line a little after the launch has ended. */
    char byte = 'x';
    CHECK(write(in[1], &byte, 1) == 1 && read(out[0], &byte, 1) == 1);
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/cmdline", id);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(file, line, size);
    close(file);
    close(in[1]);
    close(out[0]);
    CHECK(waitpid(id, NULL, 0) == id);
    return length;
}

/* Vectors are not read here: what is no string is an error of the kernel's, and no crash. */
static void unread(void) {
    char line[64];
    CHECK(command_line(NULL, line, sizeof line) == 9 && memcmp(line, "/bin/cat", 9) == 0);
    /* Since Linux 5.18 an empty one becomes that of an empty string. */
    char *none[] = {NULL};
    CHECK(command_line(none, line, sizeof line) <= 1);
    char *broken[] = {"cat", (char *) 8, NULL};
    CHECK(exec_relay_spawn("/bin/cat", broken, NULL, NULL, 0) == -EFAULT);
    CHECK(exec_relay_spawn("/bin/cat", none, broken, NULL, 0) == -EFAULT);
    CHECK(exec_relay_spawn("/bin/cat", (char *const *) 8, NULL, NULL, 0) == -EFAULT);
}

/* Arguments and environment as they are, whatever they are. */
static void verbatim(void) {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    char *argv[] = {"", "/proc/self/environ", NULL};
    char *envp[] = {"A=1", "=x", "", "no equals sign", "A=2", NULL};
    int fds[] = {-1, ends[1], 2};
    int id = exec_relay_spawn("/bin/cat", argv, envp, fds, 3);
    CHECK(id > 0);
    close(ends[1]);
    char said[128];
    ssize_t length = read(ends[0], said, sizeof said);
    static const char expected[] = "A=1\0=x\0\0no equals sign\0A=2";
    CHECK(length == sizeof expected && memcmp(said, expected, sizeof expected) == 0);
    close(ends[0]);
    CHECK(waitpid(id, NULL, 0) == id);
}

static void *many(void *vehicle) {
    for (int count = 0; count < 20; count++) {
        launches(*(ExecRelayVehicle *) vehicle);
        failures(*(ExecRelayVehicle *) vehicle);
        options(*(ExecRelayVehicle *) vehicle);
    }
    return NULL;
}

/* With low numbers reserved, in a table that is full. */
static void reserves(void) {
    int ends[2], many[300];
    CHECK(exec_relay_reserve(-1) == -EINVAL && exec_relay_reserve(33) == -EINVAL);
    CHECK(exec_relay_reserve(1) == 0 && exec_relay_reserve(1) == 0);
    for (int index = 0; index < 300; index++)
        CHECK((many[index] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
    CHECK(exec_relay_reserve(32) == -EMFILE);
    CHECK(pipe2(ends, O_CLOEXEC) == 0 && ends[0] > 300);
    char *argv[] = {"echo", "high", NULL};
    int fds[] = {-1, ends[1]}, status, id = exec_relay_spawn("/bin/echo", argv, NULL, fds, 2);
    CHECK(id > 0 && waitpid(id, &status, 0) == id && status == 0);
    close(ends[1]);
    char said[64];
    read_all(ends[0], said, sizeof said);
    CHECK(strcmp(said, "high\n") == 0);
    for (int index = 0; index < 300; index++)
        close(many[index]);
}

int main(void) {
    static ExecRelayVehicle vehicles[] = {EXEC_RELAY_VEHICLE_IN_PLACE, EXEC_RELAY_VEHICLE_RELAY};
    CHECK(strcmp(exec_relay_version(), EXEC_RELAY_VERSION) == 0);
    mistakes();
    sizes();
    finds();
    a_timeout();
    one_call();
    verbatim();
    unread();
    cancelled();
    changing_environment();
    reserves();
    for (int index = 0; index < 2; index++) {
        a_file(vehicles[index]);
        a_cgroup(vehicles[index]);
        attributes(vehicles[index]);
        into_pid(vehicles[index]);
        environments(vehicles[index]);
    }
    pthread_t threads[4];
    for (int index = 0; index < 4; index++)
        CHECK(pthread_create(&threads[index], NULL, many, &vehicles[index % 2]) == 0);
    for (int index = 0; index < 4; index++)
        CHECK(pthread_join(threads[index], NULL) == 0);
    return 0;
}
