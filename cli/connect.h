/*
 * Connect: one run of `rtcctl connect`: the client, what it is asked, and what it shows.
 */
#pragma once

#include "cli/connect_line.h"
#include "cli/connect_view.h"

struct connect {
    struct rtc_client *client;
    struct connect_view view;
    unsigned awaited;               /* replies that have not come */
    bool was_connected, is_over;
    bool is_settled;                /* the server has taken all that was sent */
    struct rtc_error reason;        /* why it is over */
};

/* Does what was asked. RTC_QUEUE_FULL: nothing was done; ask again later. Whatever else is wrong is shown. */
enum rtc_code connect_do(struct connect *connect, const struct connect_action *action);
