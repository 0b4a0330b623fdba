/* A library that is loaded into the server ahead of the C library. It makes system calls behave as
 * badly as they are allowed to: it changes when bytes and events come, and never which.
 *
 *   SHIM_FAULTS  what it does, some of
 *                  short  reads and writes of streams move only some of the possible bytes, and a
 *                         wait for events fetches only some of the events
 *                  eintr  one call in four fails with EINTR before it has done anything
 *                  alarm  a signal comes every millisecond; its handler restarts no call
 *   SHIM_SEED    a number that all choices follow from
 *   SHIM_COUNTS  a file of four 64-bit numbers that every process adds to: reads cut, writes cut,
 *                calls interrupted, signals taken. It is shared memory: a process that is killed
 *                has counted too.
 *
 * The server ends a connection's readiness at a read that left room, because the kernel cuts no
 * read short while more bytes wait. There is one exception, which the kernel announces: EPOLLPRI,
 * bytes at an urgent mark. A read that is cut short here is announced in the same way, by adding
 * EPOLLPRI to every event, so that the program under test is the one that is shipped. The server
 * reads without an event in two places, when it stops and when a deadline has passed. There it
 * reads until nothing is left, whatever an event said. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define INTERRUPTED_OF_100 25

/* What would have been called without this library. Looked up once: a signal handler must not. */
static __typeof__(&read) next_read;
static __typeof__(&recv) next_recv;
static __typeof__(&recvfrom) next_recvfrom;
static __typeof__(&write) next_write;
static __typeof__(&writev) next_writev;
static __typeof__(&send) next_send;
static __typeof__(&sendto) next_sendto;
static __typeof__(&accept4) next_accept4;
static __typeof__(&epoll_wait) next_epoll_wait;
#define FIND(name) (next_##name = (__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum count { READS_CUT, WRITES_CUT, INTERRUPTIONS, SIGNALS, COUNTS };

static int cuts, interrupts;
static _Atomic uint64_t unshared[COUNTS], *counts = unshared;
static _Atomic uint64_t state;

/* SplitMix64, in one atomic step, so that threads and signal handlers may draw at any time. */
static uint64_t draw(void) {
    uint64_t z = atomic_fetch_add(&state, 0x9e3779b97f4a7c15) + 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static int interrupted(void) {
    if (!interrupts || draw() % 100 >= INTERRUPTED_OF_100)
        return 0;
    atomic_fetch_add(&counts[INTERRUPTIONS], 1);
    errno = EINTR;
    return 1;
}

/* At most `max`, at least 1 if `max` is: mostly a few, and sometimes enough for long messages. */
static size_t some(size_t max) {
    uint64_t drawn = draw();
    size_t most = drawn & 1 ? 16 : 4096;
    size_t len = 1 + (drawn >> 1) % most;
    return len < max ? len : max;
}

/* Only streams may be cut anywhere: a counter is read and written in one piece or not at all. */
static int is_stream(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && (S_ISSOCK(status.st_mode) || S_ISFIFO(status.st_mode));
}

/* True for a peer whose window is a few KiB, as of a slow reader in a test. Segments of a few bytes
 * would use its memory up long before its window: the kernel would drop them and send one in
 * 200 ms. The kernel cuts writes to such a peer itself. */
static int has_small_window(int fd) {
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_snd_wnd < 16 << 10;
}

static size_t cut(int fd, size_t len, enum count count) {
    if (!cuts || len < 2 || !is_stream(fd))
        return len;
    size_t shorter = some(len);
    if (shorter < len)
        atomic_fetch_add(&counts[count], 1);
    return shorter;
}

static size_t cut_read(int fd, size_t len) {
    return cut(fd, len, READS_CUT);
}

static size_t cut_write(int fd, size_t len) {
    return cuts && has_small_window(fd) ? len : cut(fd, len, WRITES_CUT);
}

EXPORT ssize_t read(int fd, void *buf, size_t len) {
    return interrupted() ? -1 : next_read(fd, buf, cut_read(fd, len));
}

EXPORT ssize_t recv(int fd, void *buf, size_t len, int flags) {
    return interrupted() ? -1 : next_recv(fd, buf, cut_read(fd, len), flags);
}

EXPORT ssize_t recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
                        socklen_t *addr_len) {
    return interrupted() ? -1 : next_recvfrom(fd, buf, cut_read(fd, len), flags, addr, addr_len);
}

EXPORT ssize_t write(int fd, const void *buf, size_t len) {
    return interrupted() ? -1 : next_write(fd, buf, cut_write(fd, len));
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (interrupted())
        return -1;
    if (!cuts || count < 1)
        return next_writev(fd, parts, count);
    return next_write(fd, parts[0].iov_base, cut_write(fd, parts[0].iov_len));
}

/* A signal handler wakes the loop by a byte with MSG_DONTWAIT. It cannot try again, and the kernel
 * never interrupts it: only a call that waits is interrupted. */
EXPORT ssize_t send(int fd, const void *buf, size_t len, int flags) {
    if (!(flags & MSG_DONTWAIT) && interrupted())
        return -1;
    return next_send(fd, buf, cut_write(fd, len), flags);
}

EXPORT ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
                      socklen_t addr_len) {
    return interrupted() ? -1 : next_sendto(fd, buf, cut_write(fd, len), flags, addr, addr_len);
}

EXPORT int accept4(int fd, struct sockaddr *addr, socklen_t *addr_len, int flags) {
    return interrupted() ? -1 : next_accept4(fd, addr, addr_len, flags);
}

EXPORT int epoll_wait(int fd, struct epoll_event *events, int max, int timeout) {
    if (interrupted())
        return -1;
    int fetched_max = cuts && max > 1 ? (int)some((size_t)max) : max;
    int count = next_epoll_wait(fd, events, fetched_max, timeout);
    for (int index = 0; cuts && index < count; index++)
        events[index].events |= EPOLLPRI;
    return count;
}

static void take_signal(int number) {
    (void)number;
    atomic_fetch_add(&counts[SIGNALS], 1);
}

static void start_alarm(void) {
    struct sigaction action = {.sa_handler = take_signal};
    struct itimerval every = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000};
    if (sigaction(SIGALRM, &action, NULL) != 0 || setitimer(ITIMER_REAL, &every, NULL) != 0)
        abort();
}

static void share_counts(const char *path) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *shared = mmap(NULL, sizeof unshared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || shared == MAP_FAILED)
        abort();
    close(fd);
    counts = shared;
}

__attribute__((constructor)) static void start(void) {
    const char *faults = getenv("SHIM_FAULTS");
    const char *seed = getenv("SHIM_SEED"), *path = getenv("SHIM_COUNTS");
    int found = FIND(read) && FIND(recv) && FIND(recvfrom) && FIND(write) && FIND(writev)
        && FIND(send) && FIND(sendto) && FIND(accept4) && FIND(epoll_wait);
    if (!found || !faults || !seed || !path)
        abort();
    state = strtoull(seed, NULL, 10);
    share_counts(path);
    cuts = strstr(faults, "short") != NULL;
    interrupts = strstr(faults, "eintr") != NULL;
    if (strstr(faults, "alarm"))
        start_alarm();
}
