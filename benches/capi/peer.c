/* Calls that check a bound and move an element of a known type, in a shared library of their own. */
#include "peer.h"

#include <string.h>

int peer_get(const struct peer *peer, size_t index, void *out)
{
    if (index >= peer->len) return -1;
    memcpy(out, &peer->data[index], sizeof(uint32_t));
    return 0;
}

int peer_set(struct peer *peer, size_t index, const void *value)
{
    if (index >= peer->len) return -1;
    memcpy(&peer->data[index], value, sizeof(uint32_t));
    return 0;
}

int peer_append(struct peer *peer, const void *value)
{
    if (peer->len >= peer->capacity) return -1;
    memcpy(&peer->data[peer->len++], value, sizeof(uint32_t));
    return 0;
}

int peer_pop(struct peer *peer, void *out)
{
    if (peer->len == 0) return -1;
    memcpy(out, &peer->data[--peer->len], sizeof(uint32_t));
    return 0;
}
