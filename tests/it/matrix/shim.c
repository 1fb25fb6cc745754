// Loaded before libc: fails or delays what a process does to its files, as a control file says that may come and go.
// With SHIM_DISK it also keeps there what a disk would hold after a loss of power: each file as it was when last synced.
// The control file, one line: `sync` or `write`, the error's number (0: none), a delay in ms, 1 if for one call only.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// Whether the call on this file is to fail; errno says how.
static int fails(int fd, const char *call) {
    int saved = errno, error = 0, delay = 0, once = 0;
    char text[64], kind[16], link[64], path[512];
    const char *control = getenv("SHIM_CONTROL"), *below = getenv("SHIM_BELOW");
    int file = control && below ? open(control, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    errno = saved;
    if (n <= 0) return 0;
    text[n] = 0;
    if (sscanf(text, "%15s %d %d %d", kind, &error, &delay, &once) != 4 || strcmp(kind, call)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (n <= 0) return 0;
    path[n] = 0;
    if (strncmp(path, below, strlen(below))) return 0;
    if (once && unlink(control) != 0) {
        // Somebody else was quicker.
        errno = saved;
        return 0;
    }
    struct timespec wait = {delay / 1000, delay % 1000 * 1000000L};
    if (delay) nanosleep(&wait, NULL);
    errno = error ? error : saved;
    return error != 0;
}

// Where the disk keeps the file of this path.
static int on_disk(const char *path, char *kept, size_t n) {
    const char *disk = getenv("SHIM_DISK"), *below = getenv("SHIM_BELOW");
    if (!disk || !below || strncmp(path, below, strlen(below))) return 0;
    snprintf(kept, n, "%s%s", disk, path + strlen(below));
    return 1;
}

static void keep(int fd) {
    int saved = errno;
    char link[64], path[512], kept[1024];
    static __thread char data[1 << 16];
    struct stat about;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    if (n > 0 && on_disk(path, kept, sizeof kept) && fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) {
        int from = open(path, O_RDONLY | O_CLOEXEC), to = open(kept, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        // Two that sync one file: the later one's view is the newer one.
        if (to >= 0 && from >= 0 && flock(to, LOCK_EX) == 0) {
            off_t at = 0;
            while ((n = pread(from, data, sizeof data, at)) > 0) {
                REAL(pwrite)(to, data, n, at);
                at += n;
            }
            if (ftruncate(to, at) != 0) abort();
        }
        if (to >= 0) close(to);
        if (from >= 0) close(from);
    }
    errno = saved;
}

static int synced(int fd, int result) {
    if (result == 0 && getenv("SHIM_DISK")) keep(fd);
    return result;
}

int fsync(int fd) { return fails(fd, "sync") ? -1 : synced(fd, REAL(fsync)(fd)); }
int fdatasync(int fd) { return fails(fd, "sync") ? -1 : synced(fd, REAL(fdatasync)(fd)); }

// Names are taken to be on the disk at once.
int rename(const char *old, const char *new) {
    char absolute[1024], old_kept[1024], new_kept[1024], here[512];
    int result = REAL(rename)(old, new), saved = errno;
    if (result == 0 && getenv("SHIM_DISK") && getcwd(here, sizeof here)) {
        snprintf(absolute, sizeof absolute, "%s%s%s", *old == '/' ? "" : here, *old == '/' ? "" : "/", old);
        int is_kept = on_disk(absolute, old_kept, sizeof old_kept);
        snprintf(absolute, sizeof absolute, "%s%s%s", *new == '/' ? "" : here, *new == '/' ? "" : "/", new);
        if (is_kept && on_disk(absolute, new_kept, sizeof new_kept)) REAL(rename)(old_kept, new_kept);
    }
    errno = saved;
    return result;
}

ssize_t write(int fd, const void *data, size_t n) { return fails(fd, "write") ? -1 : REAL(write)(fd, data, n); }
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) {
    return fails(fd, "write") ? -1 : REAL(pwrite)(fd, data, n, at);
}
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) {
    return fails(fd, "write") ? -1 : REAL(pwrite64)(fd, data, n, at);
}

// The wall clock, so many seconds off.
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = REAL(clock_gettime)(clock, now);
    const char *off = getenv("SHIM_CLOCK");
    if (result == 0 && off && clock == CLOCK_REALTIME) now->tv_sec += atoi(off);
    return result;
}
