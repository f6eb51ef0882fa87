/*
 * Directory listing: stripe after stripe, each in the order of its names. So a name alone says where to go on, and
 * what stays for the whole listing is listed once, whatever comes and goes meanwhile.
 */
#include "daemon/core/directory.h"

#include <stdlib.h>

static int name_compare(struct bytes a, struct bytes b)
{
    int order = memcmp(a.data, b.data, MIN(a.length, b.length));
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int place_compare(const void *a, const void *b)
{
    return name_compare(place_name(*(struct place *const *)a), place_name(*(struct place *const *)b));
}

/* The places of one stripe behind `after`, sorted, each with a reference. */
static int stripe_snapshot(struct stripe *stripe, struct bytes after, struct place ***ret, size_t *ret_count)
{
    pthread_mutex_lock(&stripe->lock);
    size_t count = 0;
    struct place **places = malloc((table_count(&stripe->table) + 1) * sizeof(*places));
    size_t slot = 0;
    struct place *place;
    while (places && (place = table_each(&stripe->table, &slot))) {
        if (after.length && name_compare(place_name(place), after) <= 0)
            continue;
        place_ref(place);
        places[count++] = place;
    }
    pthread_mutex_unlock(&stripe->lock);
    if (!places)
        return -ENOMEM;
    qsort(places, count, sizeof(*places), place_compare);
    *ret = places;
    *ret_count = count;
    return 0;
}

int directory_list(struct directory *directory, enum space space, struct bytes after, size_t limit,
                   void (*on_place)(struct bytes name, unsigned members, uint64_t published, void *argument),
                   void *argument, struct buf *ret_last)
{
    struct buf behind = {0};
    buf_add_bytes(&behind, after);
    size_t index = after.length ? (table_seed_hash(&directory->seed, after) >> 32) % DIRECTORY_STRIPES : 0;
    buf_clear(ret_last);

    int r = buf_status(&behind);
    for (; r == 0 && index < DIRECTORY_STRIPES && limit > 0; index++) {
        struct place **places;
        size_t count;
        r = stripe_snapshot(&directory->places[space][index], buf_bytes(&behind), &places, &count);
        if (r < 0)
            break;
        buf_clear(&behind);
        for (size_t i = 0; i < count; i++) {
            struct place *place = places[i];
            if (limit > 0) {
                on_place(place_name(place), atomic_load_explicit(&place->member_count, memory_order_relaxed),
                         atomic_load_explicit(&place->sequence, memory_order_relaxed), argument);
                buf_clear(ret_last);
                buf_add_bytes(ret_last, place_name(place));
                limit--;
            }
            place_unref(place);
        }
        free(places);
    }
    buf_done(&behind);
    /* Nothing is behind the last stripe. A last page that ends exactly there costs one empty page more. */
    if (r == 0 && limit > 0)
        buf_clear(ret_last);
    return r == 0 ? buf_status(ret_last) : r;
}
