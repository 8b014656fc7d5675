/*
 * Two processes with handles on one array of uint32_t, each in its role. They tell each other over the wire
 * when to look; what they look at is the array alone. exchange.rs plays the leading role too.
 *
 * The array begins with 10 elements, none of the handles has the lock; it ends with LAST elements.
 * Element i is 7 * i, but where they play with it.
 */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "check.h"

enum { FIRST = 10, SECOND = 3000, THIRD = 10000, LAST = 9998 };

static inline uint32_t element(uint32_t index)
{
    return 7 * index;
}

static inline void append_elements(mba_array *array, uint32_t start, uint32_t stop)
{
    for (; start < stop; start++) {
        uint32_t value = element(start);
        OK(mba_append(array, &value));
    }
}

/* All elements are there, by the pointer and by mba_get. */
static inline void check_all(const mba_array *array, const uint32_t *data, uint32_t len)
{
    uint32_t index, value;
    EQ(mba_len(array), len);
    CHECK(mba_data_ptr(array) == data);
    for (index = 0; index < len; index++) {
        EQ(data[index], element(index));
        OK(mba_get(array, index, &value));
        EQ(value, element(index));
    }
}

/* Stores values in elements 3 to 6: by mba_set, through the pointer, and by mba_write. */
static inline void touch(mba_array *array, uint32_t *data, uint32_t more)
{
    uint32_t value = element(3) + more;
    uint32_t values[2] = {element(5) + more, element(6) + more};
    OK(mba_set(array, 3, &value));
    data[4] = element(4) + more;
    OK(mba_write(array, 5, values, 2));
}

static inline void lead(mba_array *array, int wire)
{
    uint32_t *data = mba_data_ptr(array);
    uint32_t value = 0;
    HEAR(wire, "ready");
    touch(array, data, 1);
    say(wire, "look");
    HEAR(wire, "look");
    check_all(array, data, FIRST);

    say(wire, "grow");
    HEAR(wire, "grown");
    check_all(array, data, FIRST);
    OK(mba_refresh(array));
    check_all(array, data, SECOND);
    GIVES(MBA_ELOCKED, mba_append(array, &value));
    check_all(array, data, SECOND);

    say(wire, "unlock");
    HEAR(wire, "unlocked");
    append_elements(array, SECOND, THIRD);
    say(wire, "grown");
    HEAR(wire, "unlock");
    OK(mba_unlock(array));
    say(wire, "unlocked");

    HEAR(wire, "shorter");
    OK(mba_refresh(array));
    check_all(array, data, LAST);
    say(wire, "close");
    HEAR(wire, "closed");
    OK(mba_refresh(array));
    check_all(array, data, LAST);
}

/* Ends the handle, as the last step of its role. */
static inline void follow(mba_array *array, int wire)
{
    uint32_t *data = mba_data_ptr(array);
    uint32_t value = 0, index;
    check_all(array, data, FIRST);
    say(wire, "ready");
    HEAR(wire, "look");
    for (index = 3; index < 7; index++) {
        EQ(data[index], element(index) + 1);
        OK(mba_get(array, index, &value));
        EQ(value, element(index) + 1);
    }
    touch(array, data, 0);
    say(wire, "look");

    HEAR(wire, "grow");
    append_elements(array, FIRST, SECOND);
    say(wire, "grown");
    HEAR(wire, "unlock");
    OK(mba_unlock(array));
    say(wire, "unlocked");

    HEAR(wire, "grown");
    check_all(array, data, SECOND);
    OK(mba_refresh(array));
    check_all(array, data, THIRD);
    GIVES(MBA_ELOCKED, mba_append(array, &value));
    check_all(array, data, THIRD);

    say(wire, "unlock");
    HEAR(wire, "unlocked");
    OK(mba_pop(array, &value));
    EQ(value, element(THIRD - 1));
    OK(mba_pop(array, NULL));
    say(wire, "shorter");
    HEAR(wire, "close");
    OK(mba_close(array));
    say(wire, "closed");
}

/* Descriptors travel over the same wires. */

static inline void send_fd(int wire, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char letter = 'f';
    struct iovec data = {&letter, 1};
    struct msghdr message;
    struct cmsghdr *header;
    memset(&message, 0, sizeof message);
    memset(&control, 0, sizeof control);
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    EQ(sendmsg(wire, &message, 0), 1);
}

static inline int receive_fd(int wire)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char letter = 0;
    int fd = -1;
    struct iovec data = {&letter, 1};
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    EQ(recvmsg(wire, &message, MSG_CMSG_CLOEXEC), 1);
    EQ(letter, 'f');
    CHECK(CMSG_FIRSTHDR(&message) != NULL);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    CHECK(fd >= 0);
    return fd;
}

#endif
