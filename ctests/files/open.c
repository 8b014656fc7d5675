/* mba_open: flags, what a path can lead to, permissions, files that don't fit. */
#include "check.h"

#include <sys/sysmacros.h>
#include <sys/un.h>

static mba_array *const UNTOUCHED = (mba_array *)&scratch;

/* Opening fails with this code, and the output stays as it was. */
static void refuses(int line, const char *path, uint32_t flags, int code)
{
    mba_array *array = UNTOUCHED;
    int given = mba_open(path, MBA_UINT32, flags, &array);
    if (given != code || array != UNTOUCHED) {
        check_fail(__FILE__, line, "mba_open(%s, %u) gives %d (%s), not %d", path, flags, given,
                   mba_strerror(given), code);
    }
}
#define REFUSES(path, flags, code) refuses(__LINE__, (path), (flags), (code))

static void flags(void)
{
    const char *path = in_scratch("flags");
    mba_array *array;
    uint32_t all;
    make_u32(path, 3);

    /* Every pair of known flags: what makes sense opens, all else is EINVAL. */
    for (all = 0; all < 64; all++) {
        int sensible = (all & ~31u) == 0 && (!(all & MBA_CREATE) || (all & MBA_RDWR)) &&
                       (!(all & MBA_EXCL) || (all & MBA_CREATE)) &&
                       (!(all & MBA_EXACT) || (all & MBA_RDWR)) &&
                       (!(all & MBA_PRIVATE) || (all & ~(uint32_t)MBA_RDWR) == MBA_PRIVATE);
        if (!sensible) {
            REFUSES(path, all, EINVAL);
        } else if (all & MBA_EXCL) {
            REFUSES(path, all, EEXIST);
        } else {
            OK(mba_open(path, MBA_UINT32, all, &array));
            HOLDS(array, 1, 2, 3);
            EQ(mba_is_readonly(array), all == MBA_RDONLY);
            OK(mba_close(array));
        }
    }
    REFUSES(path, UINT32_MAX, EINVAL);
    REFUSES(path, 1u << 31, EINVAL);
    REFUSES(path, MBA_RDWR | 1u << 31, EINVAL);
    EQ(file_size(path), 12);

    REFUSES(in_scratch("fresh"), MBA_CREATE, EINVAL);
    REFUSES(in_scratch("fresh"), MBA_PRIVATE | MBA_CREATE, EINVAL);
    CHECK(access(in_scratch("fresh"), F_OK) != 0);
    array = open_u32(in_scratch("fresh"), MBA_RDWR | MBA_CREATE | MBA_EXCL);
    EQ(file_size(in_scratch("fresh")), 0);
    OK(mba_close(array));
    EQ(file_size(in_scratch("fresh")), 0);
}

static void nulls(void)
{
    mba_array *array = UNTOUCHED;
    GIVES(EINVAL, mba_open(NULL, MBA_UINT32, MBA_RDWR, &array));
    GIVES(EINVAL, mba_open(in_scratch("null"), MBA_UINT32, MBA_RDWR | MBA_CREATE, NULL));
    GIVES(EINVAL, mba_open_with(NULL, MBA_UINT32, MBA_RDWR, NULL, &array));
    GIVES(EINVAL, mba_open_with(in_scratch("null"), MBA_UINT32, MBA_RDWR | MBA_CREATE, NULL, NULL));
    GIVES(EINVAL, mba_anon(MBA_UINT32, NULL));
    CHECK(array == UNTOUCHED);
    CHECK(access(in_scratch("null"), F_OK) != 0);
    mba_free(NULL);
    GIVES(EINVAL, mba_close(NULL));
}

static void kinds_of_files(void)
{
    static const uint32_t ways[] = {MBA_RDONLY, MBA_RDWR, MBA_RDWR | MBA_CREATE, MBA_PRIVATE};
    struct sockaddr_un address;
    char name[5000];
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t at;
    SYS(listener);
    SYS(mkdir(in_scratch("directory"), 0777));
    SYS(mkfifo(in_scratch("fifo"), 0666));
    SYS(chdir(scratch)); /* a socket's path must be short */
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    strcpy(address.sun_path, "socket");
    SYS(bind(listener, (struct sockaddr *)&address, sizeof address));
    SYS(symlink("nowhere", in_scratch("dangling")));
    SYS(symlink("loop", in_scratch("loop")));
    make_u32(in_scratch("target"), 2);
    SYS(symlink("target", in_scratch("link")));
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;

    for (at = 0; at < sizeof ways / sizeof ways[0]; at++) {
        uint32_t way = ways[at];
        mba_array *array;
        REFUSES(in_scratch("directory"), way, EISDIR);
        REFUSES(in_scratch("fifo"), way, ENODEV); /* at once, without waiting for the other end */
        REFUSES(in_scratch("socket"), way, ENODEV);
        REFUSES("/dev/zero", way, ENODEV);
        REFUSES("/dev/null", way, ENODEV);
        REFUSES(in_scratch("loop"), way, ELOOP);
        REFUSES(in_scratch("none/file"), way, ENOENT);
        REFUSES(in_scratch("target/file"), way, ENOTDIR);
        REFUSES(name, way, ENAMETOOLONG);
        REFUSES("", way, ENOENT);
        if (!(way & MBA_CREATE)) {
            REFUSES(in_scratch("none"), way, ENOENT);
            REFUSES(in_scratch("dangling"), way, ENOENT);
        }
        OK(mba_open(in_scratch("link"), MBA_UINT32, way, &array));
        HOLDS(array, 1, 2);
        OK(mba_close(array));
    }
    REFUSES(in_scratch("dangling"), MBA_RDWR | MBA_CREATE | MBA_EXCL, EEXIST);
    REFUSES(in_scratch("directory"), MBA_RDWR | MBA_CREATE | MBA_EXCL, EEXIST);
    REFUSES(in_scratch("link"), MBA_RDWR | MBA_CREATE | MBA_EXCL, EEXIST);
    CHECK(access(in_scratch("nowhere"), F_OK) != 0);
    /* As open(2) does, MBA_CREATE makes what a dangling link names. */
    mba_free(open_u32(in_scratch("dangling"), MBA_RDWR | MBA_CREATE));
    EQ(file_size(in_scratch("nowhere")), 0);
    /* It claims to be a regular file, and can't be mapped. */
    {
        mba_array *array = UNTOUCHED;
        CHECK(mba_open("/proc/self/comm", MBA_CHAR, MBA_RDONLY, &array) > 0);
        CHECK(array == UNTOUCHED);
    }
    SYS(close(listener));
}

static void permissions(void)
{
    make_u32(in_scratch("closed"), 2);
    make_u32(in_scratch("readable"), 2);
    SYS(chmod(in_scratch("closed"), 0));
    SYS(chmod(in_scratch("readable"), 0444));
    SYS(mkdir(in_scratch("guarded"), 0755));
    SYS(chmod(scratch, 0755));
    SYS(chdir(scratch));
    IN_A_CHILD({
        mba_array *array;
        if (geteuid() == 0) {
            SYS(setgid(65534));
            SYS(setuid(65534)); /* root may do everything */
        } else {
            SYS(chmod("guarded", 0555));
        }
        REFUSES("closed", MBA_RDONLY, EACCES);
        REFUSES("closed", MBA_RDWR, EACCES);
        REFUSES("closed", MBA_PRIVATE, EACCES);
        REFUSES("readable", MBA_RDWR, EACCES);
        REFUSES("guarded/new", MBA_RDWR | MBA_CREATE, EACCES);
        array = open_u32("readable", MBA_RDONLY);
        HOLDS(array, 1, 2);
        mba_free(array);
        array = open_u32("readable", MBA_PRIVATE);
        HOLDS(array, 1, 2);
        mba_free(array);
    });
}

/* A file that ends inside an element has the whole ones, and can't change its length. */
static void partial(void)
{
    const char *path = in_scratch("partial");
    uint32_t value = 9;
    mba_array *array;
    write_file(path, "\1\0\0\0\2\0\0\0abc", 11);
    array = open_u32(path, MBA_RDWR);
    HOLDS(array, 1, 2);
    CHANGES_GIVE(MBA_EPARTIAL, array);
    HOLDS(array, 1, 2);
    OK(mba_set(array, 1, &value)); /* whole elements are as good as any */
    OK(mba_refresh(array));
    OK(mba_flush(array));
    HOLDS(array, 1, 9);
    OK(mba_close(array));
    EQ(file_size(path), 11);

    /* The same file is whole for a type of one byte. */
    OK(mba_open(path, MBA_UINT8, MBA_RDWR, &array));
    EQ(mba_len(array), 11);
    OK(mba_append(array, "d"));
    OK(mba_close(array));
    array = open_u32(path, MBA_RDWR);
    EQ(mba_len(array), 3);
    OK(mba_append(array, &value));
    OK(mba_close(array));
    EQ(file_size(path), 16);

    /* Less than one element. */
    write_file(path, "xyz", 3);
    array = open_u32(path, MBA_RDWR);
    EQ(mba_len(array), 0);
    GIVES(MBA_EPARTIAL, mba_append(array, &value));
    OK(mba_close(array));
    EQ(file_size(path), 3);
}

/* Any old file of numbers, and handles of every kind on an empty one. */
static void flat_files(void)
{
    const char *path = in_scratch("flat");
    static const uint32_t ways[] = {MBA_RDONLY, MBA_RDWR, MBA_PRIVATE, MBA_RDWR | MBA_EXACT};
    unsigned char *bytes = calloc(1, 8192);
    mba_array *array;
    size_t at;
    CHECK(bytes != NULL);
    write_file(path, bytes, 0);
    for (at = 0; at < sizeof ways / sizeof ways[0]; at++) {
        array = open_u32(path, ways[at]);
        EQ(mba_len(array), 0);
        CHECK(mba_data_ptr(array) != NULL);
        GIVES(MBA_EINDEX, mba_get(array, 0, bytes));
        OK(mba_close(array));
    }
    /* A whole number of pages without a record is elements, up to the end. */
    bytes[8191] = 0x80;
    write_file(path, bytes, 8192);
    array = open_u32(path, MBA_RDONLY);
    EQ(mba_len(array), 2048);
    OK(mba_close(array));
    free(bytes);
}

/* Descriptors don't come along through exec, and don't stay behind after closing. */
static int open_descriptors(int *close_on_exec)
{
    int fd, count = 0;
    *close_on_exec = 0;
    for (fd = 3; fd < 256; fd++) {
        int flags_of_fd = fcntl(fd, F_GETFD);
        if (flags_of_fd != -1) {
            count++;
            *close_on_exec += (flags_of_fd & FD_CLOEXEC) != 0;
        }
    }
    return count;
}

static void descriptors(void)
{
    int cloexec_before, cloexec, before = open_descriptors(&cloexec_before), now;
    mba_array *arrays[4];
    uint32_t value = 1;
    int at;
    arrays[0] = open_u32(in_scratch("fds"), MBA_RDWR | MBA_CREATE);
    arrays[1] = open_u32(in_scratch("fds"), MBA_RDONLY);
    OK(mba_anon(MBA_UINT32, &arrays[2]));
    OK(mba_from_fd(mba_fd(arrays[2]), MBA_UINT32, MBA_RDWR, &arrays[3]));
    for (at = 0; at < 4; at++) {
        CHECK(mba_fd(arrays[at]) >= 0);
    }
    OK(mba_append(arrays[0], &value));
    OK(mba_append(arrays[2], &value));
    now = open_descriptors(&cloexec);
    CHECK(now > before);
    EQ(cloexec - cloexec_before, now - before);
    for (at = 0; at < 4; at++) {
        OK(mba_close(arrays[at]));
    }
    EQ(open_descriptors(&cloexec), before);

    /* What fails leaves none behind. */
    REFUSES(in_scratch("fifo"), MBA_RDWR, ENODEV);
    REFUSES(in_scratch("directory"), MBA_RDONLY, EISDIR);
    EQ(open_descriptors(&cloexec), before);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    flags();
    nulls();
    kinds_of_files();
    permissions();
    partial();
    flat_files();
    descriptors();
    return 0;
}
