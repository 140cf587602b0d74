/* A plugin launches programs in a host that does everything to prevent it: it ignores SIGCHLD, has 50 threads that fork
 * all the time and hold whatever is open, and leaks descriptors. The plugin is the shared library of this package.
 *
 * cc host.c $(pkg-config --cflags --libs exec-relay) -pthread
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec_relay.h"

static atomic_bool over;

/* Holds all that is open right now, for a millisecond. Nobody waits for it: SIGCHLD is ignored. */
static void *forks(void *unused) {
    (void) unused;
    while (!over) {
        if (fork() == 0) {
            usleep(1000);
            _exit(0);
        }
        usleep(5000);
    }
    return NULL;
}

/* Launches a program that lists its descriptors. The fourth is what it lists them by. */
static int lists_three(ExecRelayVehicle vehicle) {
    ExecRelayError error = EXEC_RELAY_ERROR_INIT;
    ExecRelayChild *child;
    ExecRelayLaunch *launch = exec_relay_launch_new("/bin/sh");
    exec_relay_launch_vehicle(launch, vehicle, NULL);
    exec_relay_launch_arg(launch, "-c");
    exec_relay_launch_arg(launch, "cd /proc/self/fd; echo *; read until_the_host_says_so");
    exec_relay_launch_stdio(launch, 0, EXEC_RELAY_STDIO_PIPED);
    exec_relay_launch_stdio(launch, 1, EXEC_RELAY_STDIO_PIPED);
    exec_relay_launch_pulse(launch);
    int started = exec_relay_launch_start(launch, &child, &error);
    exec_relay_launch_free(launch);
    if (started != 0) {
        fprintf(stderr, "%s\n", error.message);
        return 0;
    }
    char said[64] = "";
    int output = exec_relay_child_take_pipe(child, 1), pulse = exec_relay_child_take_pulse(child);
    ssize_t length = read(output, said, sizeof said - 1);
    close(output);
    close(exec_relay_child_take_pipe(child, 0));
    /* Nobody needs to reap it: the pulse tells when it is gone. */
    char nothing;
    ssize_t end = read(pulse, &nothing, 1);
    close(pulse);
    exec_relay_child_free(child);
    /* 3 is the pulse. */
    if (length > 0 && end == 0 && strcmp(said, "0 1 2 3 4\n") == 0)
        return 1;
    fprintf(stderr, "it has: %s", said);
    return 0;
}

int main(void) {
    signal(SIGCHLD, SIG_IGN);
    for (int count = 0; count < 20; count++)
        if (open("/dev/null", O_RDONLY) < 0)
            return 1;
    pthread_t threads[50];
    for (int index = 0; index < 50; index++)
        if (pthread_create(&threads[index], NULL, forks, NULL) != 0)
            return 1;
    int good = 0;
    for (int count = 0; count < 50; count++)
        good += lists_three(EXEC_RELAY_VEHICLE_IN_PLACE) + lists_three(EXEC_RELAY_VEHICLE_RELAY);
    over = true;
    for (int index = 0; index < 50; index++)
        pthread_join(threads[index], NULL);
    printf("%d launches by the plugin, each with what it was given and nothing else\n", good);
    return good == 100 ? 0 : 1;
}
