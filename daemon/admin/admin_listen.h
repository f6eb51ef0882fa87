/*
 * Admin listen: the sink of those who listen on the admin socket.
 */
#pragma once

struct admin;

void admin_listen_begin(struct admin *admin);
void admin_listen_end(struct admin *admin);         /* after the last client is gone */
