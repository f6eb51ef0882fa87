/*
 * Checks: what a text must be like, for rows of the tables of options. Each returns NULL, or what would be right.
 */
#pragma once

const char *check_listen(const char *text);
const char *check_certificate(const char *text);
const char *check_path(const char *text);
const char *check_base_path(const char *text);
const char *check_origin(const char *text);
const char *check_host(const char *text);
const char *check_network(const char *text);
const char *check_socket_path(const char *text);
const char *check_key_source(const char *text);
const char *check_peer_rule(const char *text);
const char *check_api_keys(const char *text);
const char *check_header(const char *text);
const char *check_plugin(const char *text);
const char *check_claim(const char *text);
const char *check_source(const char *text);
