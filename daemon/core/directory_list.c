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

static int listed_compare(const void *a, const void *b)
{
    return name_compare(place_name(((const struct listed *)a)->place), place_name(((const struct listed *)b)->place));
}

/* Under the stripe's lock, and with a reference. */
static struct listed listed_take(struct place *place)
{
    bool is_user = place->space == SPACE_USER;
    bool is_occupied = is_user ? place->opened_count != 0 : place->workers != 0;
    place_ref(place);
    return (struct listed){
        .place = place, .is_occupied = is_occupied, .generation = is_user && is_occupied ? place->generation : 0,
        .members = atomic_load_explicit(&place->member_count, memory_order_relaxed),
        .published = atomic_load_explicit(&place->sequence, memory_order_relaxed),
    };
}

/* The places of one stripe behind `after`, sorted, each with a reference. */
static int stripe_snapshot(struct stripe *stripe, struct bytes after, struct listed **ret, size_t *ret_count)
{
    pthread_mutex_lock(&stripe->lock);
    size_t count = 0;
    struct listed *listed = malloc((table_count(&stripe->table) + 1) * sizeof(*listed));
    size_t slot = 0;
    struct place *place;
    while (listed && (place = table_each(&stripe->table, &slot)))
        if (!after.length || name_compare(place_name(place), after) > 0)
            listed[count++] = listed_take(place);
    pthread_mutex_unlock(&stripe->lock);
    if (!listed)
        return -ENOMEM;
    qsort(listed, count, sizeof(*listed), listed_compare);
    *ret = listed;
    *ret_count = count;
    return 0;
}

int directory_list(struct directory *directory, enum space space, struct bytes after, directory_list_fn *on_place, void *argument,
                   struct buf *ret_last)
{
    struct buf behind = {0};
    bool wants_more = true;
    buf_add_bytes(&behind, after);
    size_t index = after.length ? (table_seed_hash(&directory->seed, after) >> 32) % DIRECTORY_STRIPES : 0;
    buf_clear(ret_last);

    int r = buf_status(&behind);
    for (; r == 0 && index < DIRECTORY_STRIPES && wants_more; index++) {
        struct listed *listed;
        size_t count;
        r = stripe_snapshot(&directory->places[space][index], buf_bytes(&behind), &listed, &count);
        if (r < 0)
            break;
        buf_clear(&behind);
        for (size_t i = 0; i < count; i++) {
            if (wants_more) {
                wants_more = on_place(&listed[i], argument);
                buf_clear(ret_last);
                buf_add_bytes(ret_last, place_name(listed[i].place));
            }
            place_unref(listed[i].place);
        }
        free(listed);
    }
    buf_done(&behind);
    /* Nothing is behind the last stripe. A last page that ends exactly there costs one empty page more. */
    if (r == 0 && wants_more)
        buf_clear(ret_last);
    return r == 0 ? buf_status(ret_last) : r;
}
