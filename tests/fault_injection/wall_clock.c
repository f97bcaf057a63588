/* Preloaded into a program, this sets its wall clock to the seconds since 1970 that are in the file
 * named by WALL_CLOCK, whenever it looks. The monotonic clock is that of the system. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time)
{
    const char *path = getenv("WALL_CLOCK");
    char text[32] = {0};
    int file;

    if (syscall(SYS_clock_gettime, clock, time) != 0)
        return -1;
    if (clock != CLOCK_REALTIME || path == NULL)
        return 0;
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    /* The fraction of the second is the real one. */
    if (read(file, text, sizeof text - 1) > 0)
        time->tv_sec = strtoll(text, NULL, 10);
    close(file);
    return 0;
}
