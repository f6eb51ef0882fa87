/*
 * Parts: see parts.h. Owns the list.
 */
#include "daemon/admin/parts.h"

#include "daemon/admin/admin.h"
#include "daemon/config/config_file.h"
#include "daemon/fetch/fetch.h"
#include "daemon/store/store_file.h"
#include "lib/msgpack.h"
#include "lib/packer.h"
#include "lib/ws_frame.h"

struct part_version part_version(size_t index)
{
    const struct part_version parts[] = {
        {"rtcd", RTCD_VERSION},
        {"libevent", event_get_version()},
        {"msgpack-c", msgpack_library_version()},
        {"libyaml", config_library_version()},
        {"openssl", ws_library_version()},
        {"zlib", packer_library_version()},
        {"libcurl", fetch_library_version()},
        {"lmdb", store_library_version()},
    };
    return index < COUNT_OF(parts) ? parts[index] : (struct part_version){0};
}
