/* What a call into a shared library costs that does no more than it must: see peer.c. */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>
#include <stdint.h>

struct peer {
    uint32_t *data;
    size_t len, capacity;
};

#ifdef __cplusplus
extern "C" {
#endif
int peer_get(const struct peer *peer, size_t index, void *out);
int peer_set(struct peer *peer, size_t index, const void *value);
int peer_append(struct peer *peer, const void *value);
int peer_pop(struct peer *peer, void *out);
#ifdef __cplusplus
}
#endif

#endif
