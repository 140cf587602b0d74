/* uv_spawn of libuv 1.44 by this library: in the place of the function of this name in src/unix/process.c, before whose
 * callers a test includes this.
 *
 * What a client with this interface still has to write by itself:
 *
 * - PATH is that of the environment for the program, which must be found in it.
 * - User and group change alone; in the library they are one setting, so what is not asked for is told as it is.
 * - Standard descriptors block, whatever they do here.
 *
 * What it does not do as libuv does: a user who may not drop supplementary groups gets an error, where libuv goes on. */

#include <limits.h>

#include <exec_relay.h>

/* A byte more in this file for each launch, for whoever looks. */
static void uv__count_launch(void) {
    const char *path = getenv("LIBUV_SHIM_LAUNCHES");
    if (path == NULL)
        return;
    int file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (file == -1 || write(file, ".", 1) != 1)
        abort();
    close(file);
}

static int uv__spawn_and_init_child(
    uv_loop_t *loop, const uv_process_options_t *options, int stdio_count, int (*pipes)[2], pid_t *pid) {
    char program[PATH_MAX], option[64];
    const char *path = options->env == NULL ? getenv("PATH") : NULL;
    (void) loop;
    for (char **variable = options->env; variable != NULL && *variable != NULL; variable++)
        if (strncmp(*variable, "PATH=", 5) == 0)
            path = *variable + 5;
    int error = exec_relay_find_program(options->file, path, options->cwd, program, sizeof program);
    if (error < 0)
        return error;

    ExecRelayLaunch *launch = exec_relay_launch_new(program);
    exec_relay_launch_keep_nofile(launch);
    exec_relay_launch_option(launch, "--keep-inherited");
    exec_relay_launch_environment(launch, options->env);
    exec_relay_launch_argv0(launch, options->args[0]);
    for (char **argument = options->args + 1; *argument != NULL; argument++)
        exec_relay_launch_arg(launch, *argument);
    if (options->cwd != NULL)
        exec_relay_launch_current_dir(launch, options->cwd);
    if (options->flags & UV_PROCESS_DETACHED)
        exec_relay_launch_option(launch, "--setsid");
    if (options->flags & (UV_PROCESS_SETUID | UV_PROCESS_SETGID)) {
        uid_t user = options->flags & UV_PROCESS_SETUID ? options->uid : geteuid();
        gid_t group = options->flags & UV_PROCESS_SETGID ? options->gid : getegid();
        snprintf(option, sizeof option, "--user=%u:%u", user, group);
        exec_relay_launch_option(launch, option);
    }
    for (int descriptor = 0; descriptor < stdio_count; descriptor++) {
        int source = pipes[descriptor][1];
        if (source >= 0)
            exec_relay_launch_fd(launch, descriptor, source);
        else if (descriptor <= 2)
            exec_relay_launch_stdio(launch, descriptor, EXEC_RELAY_STDIO_NULL);
        if (source >= 0 && descriptor <= 2)
            uv__nonblock_fcntl(source, 0);
    }
    ExecRelayChild *child;
    error = exec_relay_launch_start(launch, &child, NULL);
    exec_relay_launch_free(launch);
    if (error != 0)
        return error;
    uv__count_launch();
    *pid = exec_relay_child_into_pid(child, NULL);
    return 0;
}
