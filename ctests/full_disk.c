/*
 * A full disk, a tmpfs of its own in a mount namespace of its own: every step says ENOSPC, nothing is lost,
 * nothing changes size, and it goes on once there is space. And a limit on the size of files: EFBIG.
 */
#include "check.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

enum { DISK = 1 << 20, PAGE = 4096 };

static const char *disk_file(const char *name)
{
    static char paths[4][4096];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/disk/%s", scratch, name);
    return path;
}

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd == -1 || write(fd, text, strlen(text)) == -1) {
        check_fail(__FILE__, __LINE__,
                   "%s: %s; run this as root or allow user namespaces, or set MBA_SKIP=full_disk",
                   path, strerror(errno));
    }
    close(fd);
}

/* Mounts the small disk, which no other process sees, and which ends with this one. */
static void mount_disk(void)
{
    const char *directory = in_scratch("disk");
    char map[64];
    unsigned user = (unsigned)geteuid(), group = (unsigned)getegid();
    SYS(mkdir(directory, 0777));
    if (unshare(CLONE_NEWNS) == -1) {
        if (unshare(CLONE_NEWNS | CLONE_NEWUSER) == -1) {
            check_fail(__FILE__, __LINE__,
                       "unshare: %s; run this as root or set MBA_SKIP=full_disk", strerror(errno));
        }
        write_text("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "0 %u 1", user);
        write_text("/proc/self/uid_map", map);
        snprintf(map, sizeof map, "0 %u 1", group);
        write_text("/proc/self/gid_map", map);
    }
    SYS(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL));
    SYS(mount("small", directory, "tmpfs", 0, "size=1m,mode=777"));
}

static unsigned long long free_bytes(void)
{
    struct statvfs disk;
    SYS(statvfs(in_scratch("disk"), &disk));
    return disk.f_bavail * disk.f_bsize;
}

/* Takes the space that is left, but for some pages. */
static void fill_disk(unsigned pages_left)
{
    static const char page[PAGE];
    int fd = open(disk_file("filler"), O_WRONLY | O_CREAT | O_APPEND, 0666);
    SYS(fd);
    while (free_bytes() > (unsigned long long)pages_left * PAGE) {
        EQ(write(fd, page, PAGE), PAGE);
    }
    SYS(close(fd));
}

static void free_disk(void)
{
    SYS(unlink(disk_file("filler")));
}

/* Everything that needs space fails in the same way, and the file, its blocks and the array stay. */
static void nothing_fits(mba_array *array, const char *path, uint32_t exact, int code)
{
    static uint32_t block[1 << 20];
    struct stat before, after;
    uint32_t value = 99, *data = mba_data_ptr(array), index;
    size_t len = mba_len(array), room = mba_capacity(array) - len;
    SYS(stat(path, &before));
    CHECK(room < sizeof block / sizeof block[0] - 5);
    if (room == 0) {
        GIVES(code, mba_append(array, &value));
        GIVES(code, mba_insert(array, 0, &value));
        GIVES(code, mba_extend(array, &value, 1));
        GIVES(code, mba_splice(array, len / 2, len > 0, block, 2));
    }
    GIVES(code, mba_extend(array, block, room + 1));
    GIVES(code, mba_splice(array, 0, 0, block, room + 1));
    GIVES(code, mba_splice(array, len, 0, block, room + 5));
    GIVES(code, mba_resize(array, len + room + 1));
    GIVES(code, mba_resize(array, len + (1 << 22)));
    GIVES(exact ? MBA_OK : code,
          mba_reserve(array, len + (1 << 22))); /* no room to make in exact mode */
    EQ(mba_len(array), len);
    EQ(mba_capacity(array), len + room);
    CHECK(mba_data_ptr(array) == data);
    SYS(stat(path, &after));
    EQ(after.st_size, before.st_size);
    EQ(after.st_blocks, before.st_blocks);
    for (index = 0; index < len; index++) {
        CHECK(data[index] == index);
    }
}

/* Appends 0, 1, 2 ... from the length on, until it fails with this code. */
static void append_until(mba_array *array, int code)
{
    uint32_t value = (uint32_t)mba_len(array);
    int given;
    while ((given = mba_append(array, &value)) == MBA_OK) {
        value++;
    }
    EQ(given, code);
    EQ(mba_len(array), value);
}

/* The disk is really filled: the steps get smaller when it gets tight. */
static void filled_by_appending(uint32_t exact)
{
    const char *path = disk_file("array");
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE | exact),
              *reader = open_u32(path, MBA_RDONLY);
    uint32_t value;
    append_until(array, ENOSPC);
    CHECK(mba_len(array) * 4 >= DISK / 100 * 95);
    nothing_fits(array, path, exact, ENOSPC);
    OK(mba_refresh(reader));
    EQ(mba_len(reader), mba_len(array));
    OK(mba_close(reader));
    OK(mba_flush(array));
    OK(mba_set(array, 5, &(uint32_t){5}));

    /* Shorter is always possible, and what has become free can be used again. */
    OK(mba_pop(array, &value));
    EQ(value, mba_len(array));
    OK(mba_remove(array, mba_len(array) - 1, NULL));
    append_until(array, ENOSPC);
    nothing_fits(array, path, exact, ENOSPC);

    /* On a full disk it closes, and opens, like any other. */
    OK(mba_close(array));
    array = open_u32(path, MBA_RDWR | exact);
    EQ(file_size(path), 4 * mba_len(array));
    append_until(array, ENOSPC);
    nothing_fits(array, path, exact, ENOSPC);
    OK(mba_resize(array, 1000));
    OK(mba_shrink_to_fit(array));
    EQ(file_size(path), 4000);
    append_until(array, ENOSPC);
    CHECK(mba_len(array) * 4 >= DISK / 100 * 95);
    OK(mba_close(array));
    SYS(unlink(path));
    EQ(free_bytes(), DISK);
}

/* Once space is freed by somebody else it goes on. */
static void freed_by_others(uint32_t exact)
{
    const char *path = disk_file("array");
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE | exact);
    size_t len;
    uint32_t block[5000], index;
    fill_disk(100);
    append_until(array, ENOSPC);
    len = mba_len(array);
    CHECK(len * 4 > 95 * PAGE);
    nothing_fits(array, path, exact, ENOSPC);
    free_disk();
    for (index = 0; index < 5000; index++) {
        block[index] = (uint32_t)len + index;
    }
    OK(mba_extend(array, block, 5000));
    append_until(array, ENOSPC);
    CHECK(mba_len(array) * 4 >= DISK / 100 * 95);
    nothing_fits(array, path, exact, ENOSPC);
    OK(mba_close(array));
    SYS(unlink(path));
}

/* Extending by blocks: each comes wholly or not at all. */
static void filled_by_extending(void)
{
    const char *path = disk_file("array");
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE);
    static uint32_t block[10000];
    uint32_t index, len = 0;
    for (;;) {
        int code;
        for (index = 0; index < 10000; index++) {
            block[index] = len + index;
        }
        code = mba_extend(array, block, 10000);
        if (code != MBA_OK) {
            EQ(code, ENOSPC);
            break;
        }
        len += 10000;
        EQ(mba_len(array), len);
    }
    CHECK(len >= 240000);
    EQ(mba_len(array), len);
    append_until(array, ENOSPC);
    nothing_fits(array, path, 0, ENOSPC);
    OK(mba_close(array));
    SYS(unlink(path));
}

/* A flat file that ends with its page, on a disk without a page to spare. */
static void flat_on_a_full_disk(uint32_t exact)
{
    const char *path = disk_file("array");
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE);
    uint32_t index, value;
    for (index = 0; index < 2048; index++) {
        OK(mba_append(array, &index));
    }
    OK(mba_close(array));
    fill_disk(0);
    array = open_u32(path, MBA_RDWR | exact);
    EQ(file_size(path), 8192);
    nothing_fits(array, path, exact, ENOSPC);
    /* A file without spare room is truncated, since there is no space for a record. */
    OK(mba_pop(array, &value));
    EQ(value, 2047);
    EQ(mba_len(array), 2047);
    EQ(file_size(path), 8188);
    OK(mba_resize(array, 2000));
    value = 2000;
    OK(mba_append(array, &value)); /* the last page has space for it, and for a record */
    EQ(mba_len(array), 2001);
    OK(mba_splice(array, 1024, 977, NULL, 0));
    OK(mba_close(array));
    EQ(file_size(path), PAGE);
    free_disk();
    SYS(unlink(path));
}

/* A new array on a full disk exists, empty, and fails to grow. */
static void new_on_a_full_disk(void)
{
    const char *path = disk_file("new");
    mba_array *array;
    uint32_t value = 0;
    fill_disk(0);
    array = open_u32(path, MBA_RDWR | MBA_CREATE);
    nothing_fits(array, path, 0, ENOSPC);
    GIVES(MBA_EEMPTY, mba_pop(array, &value));
    OK(mba_clear(array));
    EQ(file_size(path), 0);
    free_disk();
    OK(mba_append(array, &value));
    OK(mba_close(array));
    EQ(file_size(path), 4);
    SYS(unlink(path));
}

/* A limit on the size of files is EFBIG, and no signal, whose disposition is the program's. */
static void limited(rlim_t limit, uint32_t exact)
{
    const char *path = in_scratch("limited");
    struct sigaction before, after;
    struct rlimit lower, old;
    uint32_t value;
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE | exact);
    SYS(getrlimit(RLIMIT_FSIZE, &old));
    lower = old;
    lower.rlim_cur = limit;
    SYS(sigaction(SIGXFSZ, NULL, &before));
    CHECK(before.sa_handler == SIG_DFL);
    SYS(setrlimit(RLIMIT_FSIZE, &lower));
    append_until(array, EFBIG);
    CHECK(mba_len(array) * 4 + 2 * PAGE >= limit);
    CHECK(file_size(path) <= (long long)limit);
    nothing_fits(array, path, exact, EFBIG);
    if (mba_len(array) > 0) {
        OK(mba_pop(array, NULL));
        append_until(array, EFBIG);
    }
    SYS(sigaction(SIGXFSZ, NULL, &after));
    CHECK(after.sa_handler == SIG_DFL);
    SYS(setrlimit(RLIMIT_FSIZE, &old));
    value = (uint32_t)mba_len(array);
    OK(mba_append(array, &value)); /* it goes on where the limit is gone */
    OK(mba_close(array));
    SYS(unlink(path));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    mount_disk();
    filled_by_appending(0);
    filled_by_appending(MBA_EXACT);
    freed_by_others(0);
    freed_by_others(MBA_EXACT);
    filled_by_extending();
    flat_on_a_full_disk(0);
    flat_on_a_full_disk(MBA_EXACT);
    new_on_a_full_disk();
    limited(1 << 19, 0);
    limited((1 << 19) + 100, 0);
    limited((1 << 19) - 32, 0);
    limited(100000, MBA_EXACT);
    limited(100, 0);
    limited(100, MBA_EXACT);
    return 0;
}
