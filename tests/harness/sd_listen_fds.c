/* Asks the real libsystemd whether it accepts the sockets that were handed over, that they listen, and for their names. */
#include <stdio.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

int main(void)
{
    char **names = 0;
    int count = sd_listen_fds_with_names(0, &names);
    for (int i = 0; i < count; i++) {
        if (sd_is_socket(SD_LISTEN_FDS_START + i, AF_INET, SOCK_STREAM, 1) <= 0)
            return 1;
    }
    printf("%d listening\n", count);
    for (int i = 0; i < count; i++)
        puts(names[i]);
    return count > 0 ? 0 : 1;
}
