/*
 * Amnesia: what a power loss would take from a process's files.
 *
 * Preloaded into a process, it watches the files below AMNESIA_DIRECTORY. Before each write it notes in a journal what
 * the write is about to replace; a sync makes the note void. The process is then killed, and whoever killed it undoes
 * from the journals what was never synced, all or some of it (`loss.rs`). The journals lie outside of the process, in
 * AMNESIA_JOURNAL, and are written before what they are about, so that a SIGKILL at any moment leaves them right.
 *
 *   <inode>    one per file: changes since the last sync, each with the bytes that it replaced
 *   entries    names made, removed and changed, one a line, and when their directory was synced
 *   saved.*    another link to what a name stood for before it was removed
 *
 * Journals go on where a process dies without a loss of power and another takes its place; only one runs at a time.
 *
 * No sync reaches the disk, which keeps its content through all this anyway. It takes AMNESIA_SYNC_US microseconds, and
 * counts only for what was written before it began. Of a file of the name in AMNESIA_LIES, it counts for nothing at all.
 *
 * AMNESIA_DIE=write:gatepost.db@17 kills the process right before its 17th write to a file of that name, counted from
 * when AMNESIA_JOURNAL/armed exists. `write`, `sync` or `cut`; `any` for either part stands for all.
 *
 * Not modelled: links, writable shared mappings, O_SYNC, a duplicated descriptor. The process dies where it would matter
 * and can be seen. `-shm` files are left alone: they hold nothing that is meant to last. Paths are compared as text.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MAX_DESCRIPTORS 65536

/* One file or directory, however many descriptors it has. Lives as long as the process. */
struct file {
    ino_t number;
    int is_directory;
    /* Reads what a write replaces. Never closed: that would drop the locks that others hold on the file. */
    int reader;
    int journal;
    /* Positions in the journal, counted from the first byte that was ever in it. */
    uint64_t start, end, durable;
    char path[PATH_MAX];
    struct file *next;
};

/* Of one change; the replaced bytes follow. Read by `loss.rs`. */
struct change {
    uint32_t kind; /* 'W' write, 'T' new size (in `offset`), 'S' synced up to here (in `offset`) */
    uint32_t n_replaced;
    uint64_t offset, length, old_size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *files, *by_descriptor[MAX_DESCRIPTORS];
static const char *watched, *journal, *lies_about;
static int entries = -1;
static unsigned n_saved;
static struct timespec sync_time;
static char die_call[16], die_name[64];
static unsigned long die_at, n_passes;

/* A model that does not hold must not look like one that does. */
static void give_up(const char *why, const char *what)
{
    dprintf(2, "amnesia: %s: %s: %s\n", what, why, strerror(errno));
    _exit(97);
}

__attribute__((constructor)) static void begin(void)
{
    const char *directory = getenv("AMNESIA_DIRECTORY"), *die = getenv("AMNESIA_DIE");
    const char *sync_us = getenv("AMNESIA_SYNC_US");
    char path[PATH_MAX];
    journal = getenv("AMNESIA_JOURNAL");
    if (!directory || !journal)
        return;
    lies_about = getenv("AMNESIA_LIES");
    sync_time.tv_nsec = sync_us ? atol(sync_us) * 1000 : 0;
    if (die && sscanf(die, "%15[^:]:%63[^@]@%lu", die_call, die_name, &die_at) != 3)
        give_up("not like `write:name@3`", die);
    snprintf(path, sizeof path, "%s/entries", journal);
    entries = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (entries < 0)
        give_up("cannot be opened", path);
    watched = directory;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Dies here if this is the call that was asked for. */
static void pass(const char *call, const char *path)
{
    static int is_armed;
    char armed[PATH_MAX];
    if (!die_at)
        return;
    if (!is_armed) {
        snprintf(armed, sizeof armed, "%s/armed", journal);
        is_armed = syscall(SYS_faccessat, AT_FDCWD, armed, F_OK) == 0;
    }
    if (!is_armed || (strcmp(die_call, "any") && strcmp(die_call, call)) ||
        (strcmp(die_name, "any") && strcmp(die_name, name_of(path))) || ++n_passes != die_at)
        return;
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Whether the path, made absolute, is one that is watched. */
static int is_watched(int directory, const char *path, char full[PATH_MAX])
{
    char base[PATH_MAX] = "", link[64];
    size_t length;
    if (!watched || !path)
        return 0;
    if (path[0] != '/') {
        if (directory == AT_FDCWD)
            strcpy(link, "/proc/self/cwd");
        else
            snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        if (syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 2) < 0)
            return 0;
        strcat(base, "/");
    }
    if ((size_t)snprintf(full, PATH_MAX, "%s%s", base, path) >= PATH_MAX)
        return 0;
    length = strlen(full);
    if (length > 4 && !strcmp(full + length - 4, "-shm"))
        return 0;
    length = strlen(watched);
    return !strncmp(full, watched, length) && (full[length] == '/' || full[length] == 0);
}

/* Notes what is about to happen to a name. */
static void note_entry(const char *format, ...)
{
    char line[4 * PATH_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (syscall(SYS_write, entries, line, (size_t)length) != length)
        give_up("could not be noted", line);
}

/* Where the next removed file is kept. */
static void save_as(char saved[PATH_MAX])
{
    snprintf(saved, PATH_MAX, "%s/saved.%d.%u", journal, getpid(), n_saved++);
}

static struct file *file_of(int descriptor)
{
    return descriptor >= 0 && descriptor < MAX_DESCRIPTORS ? by_descriptor[descriptor] : NULL;
}

static void adopt(int descriptor, const char *path)
{
    struct stat status;
    struct file *file;
    char name[PATH_MAX];
    if (fstat(descriptor, &status) || descriptor >= MAX_DESCRIPTORS)
        give_up("cannot be watched", path);
    for (file = files; file && file->number != status.st_ino; file = file->next)
        ;
    if (!file) {
        file = calloc(1, sizeof *file);
        if (!file)
            give_up("out of memory", path);
        file->number = status.st_ino;
        file->is_directory = S_ISDIR(status.st_mode);
        strcpy(file->path, path);
        if (!file->is_directory) {
            snprintf(name, sizeof name, "%s/%lu", journal, (unsigned long)status.st_ino);
            file->journal =
                syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
            file->reader = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
            if (file->journal < 0 || file->reader < 0)
                give_up("cannot be watched", path);
            /* A process before this one may have died without a loss of power. */
            file->end = lseek(file->journal, 0, SEEK_END);
        }
        file->next = files;
        files = file;
    }
    by_descriptor[descriptor] = file;
}

static uint64_t size_of(const struct file *file)
{
    struct stat status;
    if (fstat(file->reader, &status))
        give_up("has no size", file->path);
    return status.st_size;
}

/* Notes a change, with what the file holds now from `offset` on, as much as the change replaces. */
static void note_change(struct file *file, uint32_t kind, uint64_t offset, uint64_t length)
{
    static char *replaced;
    static size_t room;
    struct change change = {kind, 0, offset, length, size_of(file)};
    uint64_t end = kind == 'T' ? change.old_size : offset + length;
    if (kind != 'S' && offset < change.old_size) {
        size_t n = (end < change.old_size ? end : change.old_size) - offset;
        if (n > room) {
            replaced = realloc(replaced, room = n);
            if (!replaced)
                give_up("out of memory", file->path);
        }
        if (syscall(SYS_pread64, file->reader, replaced, n, offset) != (long)n)
            give_up("could not be read", file->path);
        change.n_replaced = n;
    }
    struct iovec parts[] = {{&change, sizeof change}, {replaced, change.n_replaced}};
    long n_written = syscall(SYS_writev, file->journal, parts, 2);
    if (n_written != (long)(sizeof change + change.n_replaced))
        give_up("could not be noted", file->path);
    file->end += n_written;
}

/* All that was noted up to there is on the disk. */
static void settle(struct file *file, uint64_t up_to)
{
    if (up_to <= file->durable)
        return;
    file->durable = up_to;
    if (up_to < file->end) {
        note_change(file, 'S', up_to - file->start, 0);
        return;
    }
    if (syscall(SYS_ftruncate, file->journal, 0))
        give_up("its journal could not be cut", file->path);
    file->start = file->end;
}

static int cut(struct file *file, int descriptor, off_t size)
{
    pass("cut", file->path);
    note_change(file, 'T', size, 0);
    return syscall(SYS_ftruncate, descriptor, size);
}

static ssize_t write_at(struct file *file, int descriptor, const void *bytes, size_t count, off_t offset)
{
    pass("write", file->path);
    note_change(file, 'W', offset, count);
    return syscall(SYS_pwrite64, descriptor, bytes, count, offset);
}

static int open_at(int directory, const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX];
    if (!is_watched(directory, path, full))
        return syscall(SYS_openat, directory, path, flags, mode);
    if (flags & (O_DSYNC | __O_TMPFILE) & ~O_DIRECTORY)
        give_up("opened in a way that is not modelled", full);
    pthread_mutex_lock(&lock);
    if (flags & O_CREAT && syscall(SYS_faccessat, AT_FDCWD, full, F_OK))
        note_entry("create\t%s\n", full);
    int descriptor = syscall(SYS_openat, directory, path, flags & ~O_TRUNC, mode);
    if (descriptor >= 0) {
        adopt(descriptor, full);
        if (flags & O_TRUNC && cut(by_descriptor[descriptor], descriptor, 0))
            give_up("could not be cut", full);
    }
    pthread_mutex_unlock(&lock);
    return descriptor;
}

/* The mode, where there is one. */
#define OPEN(directory)                                                \
    mode_t mode = 0;                                                   \
    if (flags & (O_CREAT | __O_TMPFILE)) {                             \
        va_list arguments;                                             \
        va_start(arguments, flags);                                    \
        mode = va_arg(arguments, mode_t);                              \
        va_end(arguments);                                             \
    }                                                                  \
    return open_at(directory, path, flags, mode);

int open(const char *path, int flags, ...) { OPEN(AT_FDCWD) }
int open64(const char *path, int flags, ...) { OPEN(AT_FDCWD) }
int openat(int directory, const char *path, int flags, ...) { OPEN(directory) }
int openat64(int directory, const char *path, int flags, ...) { OPEN(directory) }
int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int descriptor)
{
    if (file_of(descriptor))
        by_descriptor[descriptor] = NULL;
    return syscall(SYS_close, descriptor);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset)
{
    struct file *file = file_of(descriptor);
    if (!file)
        return syscall(SYS_pwrite64, descriptor, bytes, count, offset);
    pthread_mutex_lock(&lock);
    ssize_t n = write_at(file, descriptor, bytes, count, offset);
    pthread_mutex_unlock(&lock);
    return n;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset)
{
    return pwrite64(descriptor, bytes, count, offset);
}

ssize_t write(int descriptor, const void *bytes, size_t count)
{
    struct file *file = file_of(descriptor);
    if (!file)
        return syscall(SYS_write, descriptor, bytes, count);
    pthread_mutex_lock(&lock);
    int is_append = fcntl(descriptor, F_GETFL) & O_APPEND;
    off_t offset = is_append ? (off_t)size_of(file) : lseek(descriptor, 0, SEEK_CUR);
    ssize_t n = write_at(file, descriptor, bytes, count, offset);
    if (n > 0)
        lseek(descriptor, offset + n, SEEK_SET);
    pthread_mutex_unlock(&lock);
    return n;
}

/* One write after another: a power loss could part them anyway. */
static ssize_t each(int descriptor, const struct iovec *parts, int n_parts, off_t offset)
{
    ssize_t n_all = 0;
    for (int idx = 0; idx < n_parts; idx++) {
        ssize_t n = offset < 0 ? write(descriptor, parts[idx].iov_base, parts[idx].iov_len)
                               : pwrite64(descriptor, parts[idx].iov_base, parts[idx].iov_len, offset + n_all);
        if (n < 0)
            return n_all ? n_all : n;
        n_all += n;
        if ((size_t)n < parts[idx].iov_len)
            break;
    }
    return n_all;
}

ssize_t writev(int descriptor, const struct iovec *parts, int n_parts)
{
    return file_of(descriptor) ? each(descriptor, parts, n_parts, -1)
                               : syscall(SYS_writev, descriptor, parts, n_parts);
}

ssize_t pwritev64(int descriptor, const struct iovec *parts, int n_parts, off64_t offset)
{
    return file_of(descriptor) ? each(descriptor, parts, n_parts, offset)
                               : syscall(SYS_pwritev, descriptor, parts, n_parts, offset, 0);
}

ssize_t pwritev(int descriptor, const struct iovec *parts, int n_parts, off_t offset)
{
    return pwritev64(descriptor, parts, n_parts, offset);
}

int ftruncate64(int descriptor, off64_t size)
{
    struct file *file = file_of(descriptor);
    if (!file)
        return syscall(SYS_ftruncate, descriptor, size);
    pthread_mutex_lock(&lock);
    int result = cut(file, descriptor, size);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int descriptor, off_t size) { return ftruncate64(descriptor, size); }

int truncate64(const char *path, off64_t size)
{
    int descriptor = open_at(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    int result = ftruncate64(descriptor, size);
    close(descriptor);
    return result;
}

int truncate(const char *path, off_t size) { return truncate64(path, size); }

int fsync(int descriptor)
{
    struct file *file = file_of(descriptor);
    if (!file)
        return 0;
    pthread_mutex_lock(&lock);
    pass("sync", file->path);
    uint64_t so_far = file->is_directory ? (uint64_t)lseek(entries, 0, SEEK_END) : file->end;
    pthread_mutex_unlock(&lock);
    /* Others go on meanwhile; what they write now is not covered. */
    nanosleep(&sync_time, NULL);
    if (lies_about && !strcmp(lies_about, name_of(file->path)))
        return 0;
    pthread_mutex_lock(&lock);
    if (file->is_directory)
        note_entry("sync\t%s\t%lu\n", file->path, (unsigned long)so_far);
    else
        settle(file, so_far);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fdatasync(int descriptor) { return fsync(descriptor); }

int unlinkat(int directory, const char *path, int flags)
{
    char full[PATH_MAX], saved[PATH_MAX];
    if (!is_watched(directory, path, full))
        return syscall(SYS_unlinkat, directory, path, flags);
    if (flags & AT_REMOVEDIR)
        give_up("a directory was removed, which is not modelled", full);
    pthread_mutex_lock(&lock);
    save_as(saved);
    if (!syscall(SYS_linkat, AT_FDCWD, full, AT_FDCWD, saved, 0))
        note_entry("unlink\t%s\t%s\n", full, saved);
    int result = syscall(SYS_unlinkat, directory, path, flags);
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    char full_from[PATH_MAX], full_to[PATH_MAX], saved[PATH_MAX];
    struct stat status;
    int is_from = is_watched(from_directory, from, full_from), is_to = is_watched(to_directory, to, full_to);
    if (is_from != is_to)
        give_up("moved in or out, which is not modelled", from);
    if (!is_from)
        return syscall(SYS_renameat, from_directory, from, to_directory, to);
    pthread_mutex_lock(&lock);
    if (!stat(full_from, &status)) {
        save_as(saved);
        if (syscall(SYS_linkat, AT_FDCWD, full_to, AT_FDCWD, saved, 0))
            strcpy(saved, "-");
        note_entry("rename\t%s\t%s\t%s\t%lu\n", full_from, full_to, saved, (unsigned long)status.st_ino);
    }
    int result = syscall(SYS_renameat, from_directory, from, to_directory, to);
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int mkdirat(int directory, const char *path, mode_t mode)
{
    char full[PATH_MAX];
    if (!is_watched(directory, path, full))
        return syscall(SYS_mkdirat, directory, path, mode);
    pthread_mutex_lock(&lock);
    if (syscall(SYS_faccessat, AT_FDCWD, full, F_OK))
        note_entry("mkdir\t%s\n", full);
    int result = syscall(SYS_mkdirat, directory, path, mode);
    pthread_mutex_unlock(&lock);
    return result;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

void *mmap64(void *address, size_t length, int protection, int flags, int descriptor, off64_t offset)
{
    struct file *file = file_of(descriptor);
    if (file && flags & MAP_SHARED && protection & PROT_WRITE)
        give_up("mapped to be written, which is not modelled", file->path);
    return (void *)syscall(SYS_mmap, address, length, protection, flags, descriptor, offset);
}

void *mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset)
{
    return mmap64(address, length, protection, flags, descriptor, offset);
}
