/* Sets the wall clock of a process off by the nanoseconds that a file says; see skew.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000L
/* What it tells is as coarse, so that the last digit of the microseconds may be the offset's. */
#define COARSE 10000L
/* What is later than this since 1970, or since the machine was started, is of the wall clock. */
#define OF_THE_WALL_CLOCK 1000000000L

static const volatile long *offset;
static int (*posix_wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*c11_wait)(cnd_t *, mtx_t *, const struct timespec *);

__attribute__((constructor)) static void find_offset(void)
{
    /* Without a version the oldest one may be found, of conditions of another shape. */
    posix_wait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (posix_wait == NULL)
        posix_wait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    c11_wait = dlsym(RTLD_NEXT, "cnd_timedwait");
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

/* A wait is as long as it is to be: its deadline is one of the clock that this process was told,
 * and the kernel has another. */
static struct timespec of_the_kernel(const struct timespec *deadline)
{
    struct timespec right = *deadline;
    if (offset != NULL && right.tv_sec > OF_THE_WALL_CLOCK) {
        long told = right.tv_sec * SECOND + right.tv_nsec - *offset;
        right.tv_sec = told / SECOND;
        right.tv_nsec = told % SECOND;
    }
    return right;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                           const struct timespec *deadline)
{
    struct timespec right = of_the_kernel(deadline);
    return posix_wait(condition, mutex, &right);
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *deadline)
{
    struct timespec right = of_the_kernel(deadline);
    return c11_wait(condition, mutex, &right);
}
