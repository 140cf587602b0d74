/* Asks the real libsystemd whether it accepts the sockets that were handed over, and that they listen. */
#include <stdio.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

int main(void)
{
    int count = sd_listen_fds(0);
    for (int i = 0; i < count; i++) {
        if (sd_is_socket(SD_LISTEN_FDS_START + i, AF_INET, SOCK_STREAM, 1) <= 0)
            return 1;
    }
    printf("%d listening\n", count);
    return count > 0 ? 0 : 1;
}
