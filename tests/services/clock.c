// Preloaded in front of the C library (LD_PRELOAD), this shifts the wall clock of one process by the number of
// nanoseconds that the file of WEIR_TEST_CLOCK holds at that moment: an int64 in the machine's byte order. It does not
// change the monotonic clock.
//
// libfaketime does the same, but hangs at the start of a program that has its own allocator. This code neither
// allocates nor looks up symbols.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static const int64_t SECOND_NS = 1000000000;
static const int64_t *_Atomic shared;

// The file is mapped at the first call; twice if two threads call at the same time, which does no harm.
static int64_t ahead_ns(void) {
  if (!shared) {
    const char *path = getenv("WEIR_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) abort();
    void *found = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (found == MAP_FAILED) abort();
    close(file);
    shared = found;
  }
  return __atomic_load_n(shared, __ATOMIC_RELAXED);
}

static void shift(struct timespec *time, int64_t by_ns) {
  int64_t ns = time->tv_nsec + by_ns % SECOND_NS;
  time->tv_sec += by_ns / SECOND_NS + (ns >= SECOND_NS) - (ns < 0);
  time->tv_nsec = ns + (ns < 0 ? SECOND_NS : 0) - (ns >= SECOND_NS ? SECOND_NS : 0);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = (int)syscall(SYS_clock_gettime, clock, now);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) shift(now, ahead_ns());
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec precise;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &precise)) return -1;
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}

int timespec_get(struct timespec *now, int base) { return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0; }

// Callers compute the time until which they wait from this clock, but the kernel waits by its own, so the time is
// translated. librdkafka waits this way, with C11 threads, which are the same functions in glibc.
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
  struct timespec real = *until;
  shift(&real, -ahead_ns());
  return pthread_cond_clockwait(condition, mutex, CLOCK_REALTIME, &real);
}

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until) {
  int error = pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until);
  return error == 0 ? thrd_success : error == ETIMEDOUT ? thrd_timedout : thrd_error;
}
