/* mba_open_with: the structure's size and unknown bytes, mode and umask, the reservation. */
#include "check.h"

struct larger {
    mba_options known;
    unsigned char unknown[24];
};

static int with(const char *name, uint32_t flags, const void *options, mba_array **array)
{
    return mba_open_with(in_scratch(name), MBA_UINT32, flags, options, array);
}

static void sizes(void)
{
    mba_array *array = NULL;
    struct larger larger;
    mba_options options = {0};
    uint32_t size;
    size_t at;
    make_u32(in_scratch("sizes"), 2);

    EQ(sizeof options, 16); /* no padding, so that its size can say what is in it */
    OK(with("sizes", MBA_RDWR, NULL, &array));
    HOLDS(array, 1, 2);
    OK(mba_close(array));
    options.size = sizeof options;
    OK(with("sizes", MBA_RDWR, &options, &array));
    HOLDS(array, 1, 2);
    OK(mba_close(array));

    for (size = 0; size < 4; size++) {
        array = (mba_array *)&options;
        options.size = size;
        GIVES(EINVAL, with("sizes", MBA_RDWR, &options, &array));
        CHECK(array == (mba_array *)&options);
    }
    /* An older header's structure ends earlier, and what lies behind it is none of the library's business. */
    memset(&options, 0xff, sizeof options);
    options.size = 4;
    OK(with("sizes", MBA_RDWR, &options, &array));
    CHECK(mba_reserved(array) > 1 << 20);
    OK(mba_close(array));
    options.mode = 0;
    options.size = 8;
    OK(with("sizes", MBA_RDWR, &options, &array));
    OK(mba_close(array));
    options.mode = 0x80000000;
    GIVES(EINVAL, with("sizes", MBA_RDWR, &options, &array));

    /* A newer one's has more, which must not ask for anything. */
    memset(&larger, 0, sizeof larger);
    larger.known.size = sizeof larger;
    OK(with("sizes", MBA_RDWR, &larger, &array));
    OK(mba_close(array));
    for (at = 0; at < sizeof larger.unknown; at++) {
        larger.unknown[at] = 1;
        GIVES(EINVAL, with("sizes", MBA_RDWR, &larger, &array));
        larger.known.size =
            (uint32_t)(sizeof larger.known + at); /* now the byte lies behind the end */
        OK(with("sizes", MBA_RDWR, &larger, &array));
        OK(mba_close(array));
        larger.known.size = sizeof larger;
        larger.unknown[at] = 0;
    }
    larger.known.size = UINT32_MAX;
    GIVES(EINVAL, with("sizes", MBA_RDWR, &larger, &array));
}

static void modes(void)
{
    static const struct {
        uint32_t asked;
        mode_t mask, given;
    } rows[] = {
        {0, 0, 0666},      {0, 022, 0644},    {0, 077, 0600},    {0600, 0, 0600},
        {0640, 027, 0640}, {0666, 022, 0644}, {07777, 0, 07777}, {0400, 0, 0400},
    };
    mba_options options = {0};
    size_t at;
    options.size = sizeof options;
    for (at = 0; at < sizeof rows / sizeof rows[0]; at++) {
        struct stat status;
        mba_array *array;
        mode_t old = umask(rows[at].mask);
        options.mode = rows[at].asked;
        OK(with("mode", MBA_RDWR | MBA_CREATE | MBA_EXCL, &options, &array));
        umask(old);
        SYS(stat(in_scratch("mode"), &status));
        EQ(status.st_mode & 07777, rows[at].given);
        OK(mba_close(array));
        SYS(unlink(in_scratch("mode")));
    }
    for (at = 12; at < 32; at++) {
        mba_array *array = (mba_array *)&options;
        options.mode = 1u << at;
        GIVES(EINVAL, with("mode", MBA_RDWR | MBA_CREATE, &options, &array));
        CHECK(array == (mba_array *)&options);
    }
    CHECK(access(in_scratch("mode"), F_OK) != 0);
}

/* All calls that make the array longer end at the reservation, and leave everything as it was. */
static void used_up(uint32_t exact)
{
    mba_options options = {0};
    mba_array *array, *other;
    uint32_t *data;
    uint32_t *block = calloc(5000, sizeof *block);
    uint32_t value = 0;
    size_t reserved;
    long long size;
    CHECK(block != NULL);
    options.size = sizeof options;
    options.reservation = 40000;
    OK(with("used", MBA_RDWR | MBA_CREATE | exact, &options, &array));
    data = mba_data_ptr(array);
    reserved = mba_reserved(array);
    CHECK(reserved >= 10000); /* never smaller than what was asked for */
    CHECK(reserved < 12000);
    while (mba_append(array, &value) == MBA_OK) {
        value++;
    }
    EQ(value, reserved);
    GIVES(MBA_ELIMIT, mba_append(array, &value));
    GIVES(MBA_ELIMIT, mba_extend(array, &value, 1));
    GIVES(MBA_ELIMIT, mba_extend(array, block, 5000));
    GIVES(MBA_ELIMIT, mba_insert(array, 0, &value));
    GIVES(MBA_ELIMIT, mba_splice(array, 3, 4999, block, 5000));
    GIVES(MBA_ELIMIT, mba_resize(array, reserved + 1));
    GIVES(MBA_ELIMIT, mba_resize(array, SIZE_MAX));
    GIVES(MBA_ELIMIT, mba_resize(array, SIZE_MAX / 4 + 1));
    GIVES(MBA_ELIMIT, mba_reserve(array, reserved + 1));
    GIVES(MBA_ELIMIT, mba_reserve(array, SIZE_MAX));
    GIVES(MBA_ELIMIT, mba_reserve(array, SIZE_MAX / 4 + 1));
    OK(mba_reserve(array, reserved));
    EQ(mba_len(array), reserved);
    CHECK(mba_data_ptr(array) == data);
    for (value = 0; value < reserved; value++) {
        EQ(data[value], value);
    }
    OK(mba_pop(array, &value));
    EQ(value, reserved - 1);
    OK(mba_append(array, &value));
    size = 4LL * (long long)reserved;

    /* A reader with a smaller reservation keeps what it had. */
    OK(mba_close(array));
    EQ(file_size(in_scratch("used")), size);
    options.reservation = 4096;
    other = (mba_array *)&options;
    GIVES(MBA_ELIMIT, with("used", MBA_RDONLY, &options, &other));
    GIVES(MBA_ELIMIT, with("used", MBA_RDWR, &options, &other));
    CHECK(other == (mba_array *)&options);
    OK(with("used", MBA_RDWR, NULL, &array));
    OK(mba_resize(array, 4));
    OK(with("used", MBA_RDONLY, &options, &other));
    OK(mba_resize(array, reserved));
    GIVES(MBA_ELIMIT, mba_refresh(other));
    HOLDS(other, 0, 1, 2, 3);
    OK(mba_resize(array, 3));
    OK(mba_refresh(other));
    HOLDS(other, 0, 1, 2);
    OK(mba_close(other));
    OK(with("used", MBA_RDWR, &options, &other));
    OK(mba_resize(array, reserved));
    OK(mba_unlock(array));
    GIVES(MBA_ELIMIT, mba_append(other, &value));
    GIVES(MBA_ELIMIT, mba_lock(other, 0));
    EQ(mba_has_lock(other), 0);
    HOLDS(other, 0, 1, 2);
    OK(mba_close(other));
    OK(mba_close(array));
    SYS(unlink(in_scratch("used")));
    free(block);
}

static void too_much(void)
{
    mba_options options = {0};
    mba_array *array = (mba_array *)&options;
    options.size = sizeof options;
    options.reservation = UINT64_MAX;
    GIVES(ENOMEM, with("much", MBA_RDWR | MBA_CREATE, &options, &array));
    options.reservation = UINT64_MAX / 2;
    GIVES(ENOMEM, with("much", MBA_RDWR | MBA_CREATE, &options, &array));
    options.reservation = 1ull << 60;
    GIVES(ENOMEM, with("much", MBA_RDWR | MBA_CREATE, &options, &array));
    CHECK(array == (mba_array *)&options);
    options.reservation = 1;
    OK(with("much", MBA_RDWR | MBA_CREATE, &options, &array));
    CHECK(mba_reserved(array) >= 1);
    OK(mba_close(array));
    /* A gibibyte costs address space, and nothing of the disk. */
    options.reservation = 1ull << 30;
    OK(with("much", MBA_RDWR, &options, &array));
    CHECK(mba_reserved(array) >= 1u << 28);
    EQ(file_size(in_scratch("much")), 0);
    OK(mba_close(array));
}

/* The other ways to open take options, too. */
static void everywhere(void)
{
    const mode_t before = umask(0);
    const char *path = in_scratch("everywhere");
    char name[64];
    mba_options options = {0};
    mba_array *array, *other;
    struct stat status;
    size_t least;
    options.size = sizeof options;
    options.mode = 0640;
    options.reservation = 1 << 16;
    snprintf(name, sizeof name, "/mba-ctest-options-%d", (int)getpid());

    OK(mba_anon_with(MBA_UINT32, &options, &array));
    least = mba_reserved(array);
    CHECK(least >= 1 << 14 && least < (1 << 14) + 1024);
    GIVES(MBA_ELIMIT, mba_resize(array, least + 1));
    OK(mba_resize(array, least));
    OK(mba_from_fd_with(mba_fd(array), MBA_UINT32, MBA_RDONLY, NULL, &other));
    EQ(mba_len(other), least);
    OK(mba_close(other));
    options.reservation = 4096;
    GIVES(MBA_ELIMIT, mba_from_fd_with(mba_fd(array), MBA_UINT32, MBA_RDWR, &options, &other));
    options.reservation = 1 << 16;
    OK(mba_close(array));
    OK(mba_anon_with(MBA_UINT32, NULL, &array));
    CHECK(mba_reserved(array) > 1 << 14);
    OK(mba_close(array));

    OK(mba_shm_open_with(name, MBA_UINT32, MBA_RDWR | MBA_CREATE, &options, &array));
    EQ(mba_reserved(array), least);
    SYS(fstat(mba_fd(array), &status));
    EQ(status.st_mode & 07777, 0640);
    OK(mba_close(array));
    OK(mba_shm_unlink(name));

    make_u32(path, 3);
    {
        const int fd = open(path, O_RDWR);
        SYS(fd);
        OK(mba_from_fd_with(fd, MBA_UINT32, MBA_RDWR, &options, &array));
        EQ(mba_reserved(array), least);
        HOLDS(array, 1, 2, 3);
        OK(mba_close(array));
        SYS(close(fd));
    }
    options.size = 3;
    GIVES(EINVAL, mba_anon_with(MBA_UINT32, &options, &array));
    GIVES(EINVAL, mba_shm_open_with(name, MBA_UINT32, MBA_RDWR | MBA_CREATE, &options, &array));
    umask(before);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    sizes();
    modes();
    used_up(0);
    used_up(MBA_EXACT);
    too_much();
    everywhere();
    return 0;
}
