/* Sets the wall clock of a process off by the nanoseconds that a file says; see skew.py. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000L
/* What it tells is as coarse, so that the last digit of the microseconds may be the offset's. */
#define COARSE 10000L

static const volatile long *offset;

__attribute__((constructor)) static void find_offset(void)
{
    const char *path = getenv("CHAOS_SKEW");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    void *found = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED)
        offset = found;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && offset != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        long told = now->tv_sec * SECOND + now->tv_nsec;
        told += *offset - told % COARSE;
        now->tv_sec = told / SECOND;
        now->tv_nsec = told % SECOND;
    }
    return failed;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *stored)
{
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (stored != NULL)
        *stored = exact.tv_sec;
    return exact.tv_sec;
}
