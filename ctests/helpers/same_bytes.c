/*
 * Knows nothing of the library: the file argv[1] has, byte for byte, the content and the size of argv[2],
 * by read(2) and by mmap(2).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct content {
    const unsigned char *bytes;
    size_t size;
    int fd;
};

static struct content map(const char *path)
{
    struct content content;
    struct stat status;
    content.fd = open(path, O_RDONLY);
    if (content.fd < 0 || fstat(content.fd, &status) != 0) {
        perror(path);
        exit(1);
    }
    content.size = (size_t)status.st_size;
    content.bytes = mmap(NULL, content.size, PROT_READ, MAP_SHARED, content.fd, 0);
    if (content.bytes == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return content;
}

int main(int argc, char **argv)
{
    struct content actual, expected;
    unsigned char *copy;
    if (argc != 3) {
        return 2;
    }
    actual = map(argv[1]);
    expected = map(argv[2]);
    if (actual.size != expected.size) {
        fprintf(stderr, "%zu bytes, not %zu\n", actual.size, expected.size);
        return 1;
    }
    if (memcmp(actual.bytes, expected.bytes, actual.size) != 0) {
        fprintf(stderr, "other bytes by mmap\n");
        return 1;
    }
    copy = malloc(actual.size + 1);
    if (copy == NULL || read(actual.fd, copy, actual.size + 1) != (ssize_t)actual.size ||
        memcmp(copy, expected.bytes, actual.size) != 0) {
        fprintf(stderr, "other bytes by read\n");
        return 1;
    }
    free(copy);
    return 0;
}
