/*
 * Options: the table. Pure data: parsing, checking, `--check`, `--set`, `rtcctl show config`, reload, the sample config and
 * rtcd.yaml(5) are made from these rows. What a rule of `groups` may say is in group_options.c.
 */
#define ROW_STRUCT struct config
#include "daemon/config/checks.h"
#include "daemon/config/option_rows.h"

#define LEVEL(member) CHOICE(member, log_level, "error warning info debug")
#define FLUSH(member) CHOICE(member, config_flush, "write uring")
#define CERTIFICATE(member) CHOICE(member, config_certificate, "none request require")
#define CERTIFICATE_USER(member) CHOICE(member, config_certificate_user, "none common-name dns-name email uri")
#define TLS_VERSION(member) CHOICE(member, config_tls_version, "1.2 1.3")
#define PLAIN(member) CHOICE(member, config_plain, "refuse redirect")
#define RATE(member) NUMBER(member), .fallback = "unlimited", .max = 1000000, .special = "unlimited", .reload = RELOAD_NOW
#define WHO(action) CHOICE(may[action], config_who, WHO_WORDS), .reload = RELOAD_NOW

const struct config_option options[] = {
    { .path = "workers", NUMBER(workers), .fallback = "auto", .min = 1, .max = 64, .special = "auto", .reload = RELOAD_RESTART,
      .summary = "How many threads serve clients.",
      .details = "Each has its own event loop and its own connections; auto is one for each processor." },
    { .path = "listen", LIST(listen), .fallback = "127.0.0.1:8000", .check = check_listen, .reload = RELOAD_RESTART,
      .summary = "Where clients connect.",
      .details = "Any number of host:port (numeric IPv4), [host]:port (IPv6), unix:PATH and systemd:NAME (a socket unit's "
                 "FileDescriptorName). With tls: in front, as in tls:0.0.0.0:8443, clients speak TLS there. Sockets that systemd "
                 "hands over under the names rtcd and rtcd-tls replace this option; on the latter clients speak TLS. With proxy: in "
                 "front of all, as in proxy:tls:0.0.0.0:8443, only http.trusted-proxies are taken, and each connection must begin with "
                 "a header of the PROXY protocol, version 2, which says whose it is; it is closed otherwise." },

    { .path = "admin.listen", TEXT(admin.listen), .fallback = "", .check = check_socket_path, .reload = RELOAD_RESTART,
      .summary = "The path of the admin socket.",
      .details = "Empty: admin.sock in $RUNTIME_DIRECTORY (set by systemd), else in rtcd/ below $XDG_RUNTIME_DIR, else in "
                 "/run/rtcd. A socket that systemd hands over under the name rtcd-admin replaces this option." },
    { .path = "admin.mode", NUMBER(admin.mode), .fallback = "0660", .max = 0777, .is_octal = true, .reload = RELOAD_RESTART,
      .summary = "The file mode of the admin socket, in octal.", .details = "" },
    { .path = "admin.group", TEXT(admin.group), .fallback = "", .reload = RELOAD_RESTART,
      .summary = "The group whose members may use the admin socket.",
      .details = "Beside root and the daemon's own user, and whom admin.viewers, admin.operators and admin.admins name. Its members may "
                 "do everything, but those whom one of these lists names only what that says. Empty: nobody else." },
    { .path = "admin.viewers", LIST(admin.viewers), .fallback = "", .check = check_peer_rule, .reload = RELOAD_NOW,
      .summary = "Who may look at everything on the admin socket, and change nothing.",
      .details = "Each is uid:NUMBER, gid:NUMBER, user:NAME or group:NAME, where the kernel says who it is. The socket's file must let "
                 "them in as well (admin.mode)." },
    { .path = "admin.operators", LIST(admin.operators), .fallback = "", .check = check_peer_rule, .reload = RELOAD_NOW,
      .summary = "Who may publish, join, disconnect and revoke on the admin socket, too.",
      .details = "As in admin.viewers; of several levels the highest counts." },
    { .path = "admin.admins", LIST(admin.admins), .fallback = "", .check = check_peer_rule, .reload = RELOAD_NOW,
      .summary = "Who may do everything on the admin socket.", .details = "As in admin.viewers." },
    { .path = "admin.connections", NUMBER(admin.max_connections), .fallback = "64", .min = 1, .max = 1024, .reload = RELOAD_NOW,
      .summary = "How many admin connections there may be.", .details = "" },
    { .path = "admin.waits", NUMBER(admin.max_waits), .fallback = "1000", .min = 1, .max = 1000000, .reload = RELOAD_NOW,
      .summary = "How many commands (wait user, wait group) may wait at once.", .details = "" },
    { .path = "admin.request-bytes", SIZE(admin.max_request_bytes), .fallback = "1MiB", .min = 1 * KIB, .max = 64 * MIB,
      .reload = RELOAD_NOW, .summary = "The longest line that the admin socket takes.", .details = "" },
    { .path = "admin.queue-bytes", SIZE(admin.queue_bytes), .fallback = "4MiB", .min = 64 * KIB, .max = 256 * MIB,
      .reload = RELOAD_NOW, .summary = "How many bytes may wait for one admin connection.",
      .details = "Beyond it, requests are read no further, and a listener loses envelopes and is told so (rtc.gap). Where nothing waits, one "
                 "envelope has room, however large." },

    { .path = "http.base-path", TEXT(http.base_path), .fallback = "/rtc", .check = check_base_path, .reload = RELOAD_RESTART,
      .summary = "The path below which clients find the daemon.", .details = "" },
    { .path = "http.origins", LIST(http.origins), .fallback = "", .check = check_origin, .reload = RELOAD_NOW,
      .summary = "The origins whose pages may connect.",
      .details = "Exact origins (scheme, host, port), or * for all. Pages that the same host serves may always connect. "
                 "Requests without an Origin header, as from programs, are not concerned." },
    { .path = "http.hosts", LIST(http.hosts), .fallback = "", .check = check_host, .reload = RELOAD_NOW,
      .summary = "The hosts that requests may name.",
      .details = "Each as host, with any port, or host:port. A request whose Host header names another is refused (421): so a page "
                 "whose owner lets its name point here (DNS rebinding) does not count as the daemon's own. Empty: any." },
    { .path = "http.trusted-proxies", LIST(http.trusted_proxies), .fallback = "", .check = check_network, .reload = RELOAD_NOW,
      .summary = "The proxies whose word on where clients come from is taken.",
      .details = "Addresses, networks such as 10.0.0.0/8, and unix for peers on Unix sockets. From these, X-Forwarded-For says whose "
                 "a request is: the last address in it that is no trusted proxy's, or the one behind what is no address; and "
                 "X-Forwarded-Proto whether it came by https. From others these headers are ignored. What is found counts for limits, "
                 "in logs and in rtcctl." },
    { .path = "http.head-bytes", SIZE(http.head_bytes), .fallback = "16KiB", .min = 1 * KIB, .max = 1 * MIB, .reload = RELOAD_NOW,
      .summary = "The largest head of a request.", .details = "" },
    { .path = "http.headers", NUMBER(http.header_count), .fallback = "100", .min = 8, .max = 100, .reload = RELOAD_NOW,
      .summary = "The most headers of a request.", .details = "" },
    { .path = "http.target-bytes", SIZE(http.target_bytes), .fallback = "8KiB", .min = 256, .max = 64 * KIB, .reload = RELOAD_NOW,
      .summary = "The longest request target.", .details = "" },
    { .path = "http.body-bytes", SIZE(http.body_bytes), .fallback = "1MiB", .min = 1 * KIB, .max = 256 * MIB, .reload = RELOAD_NOW,
      .summary = "The largest body of a request.", .details = "Where no connection's token is shown, as for a negotiation, 4 KiB." },
    { .path = "http.head-timeout", SPAN(http.head_timeout_ms), .fallback = "10s", .min = 100, .max = 1 * HOUR, .reload = RELOAD_NOW,
      .summary = "How long a request's head may take.", .details = "From the first byte, however many follow." },
    { .path = "http.body-timeout", SPAN(http.body_timeout_ms), .fallback = "30s", .min = 100, .max = 1 * HOUR, .reload = RELOAD_NOW,
      .summary = "How long a request's body may take.", .details = "In all, however many bytes come." },
    { .path = "http.idle-timeout", SPAN(http.idle_timeout_ms), .fallback = "60s", .min = 100, .max = 24 * HOUR, .reload = RELOAD_NOW,
      .summary = "How long a link may wait between two requests.", .details = "" },
    { .path = "http.write-timeout", SPAN(http.write_timeout_ms), .fallback = "30s", .min = 100, .max = 1 * HOUR, .reload = RELOAD_NOW,
      .summary = "How long a client may take to read an answer.", .details = "" },
    { .path = "http.backlog", NUMBER(http.backlog), .fallback = "4096", .min = 1, .max = 65535, .reload = RELOAD_RESTART,
      .summary = "How many new clients the kernel holds until they are accepted.",
      .details = "The kernel caps it at net.core.somaxconn." },
    { .path = "http.playground", FLAG(http.playground), .fallback = "false", .reload = RELOAD_NOW,
      .summary = "Serve a page for trying things out, at /.",
      .details = "It connects like any client and may do no more than one; but whoever can reach the daemon can see it." },

    { .path = "api.timeout", SPAN(api.timeout_ms), .fallback = "30s", .min = 100, .max = 1 * HOUR, .reload = RELOAD_NOW,
      .summary = "How long a command may take that came by POST /api/v1/.", .details = "Then it is answered 408, done or not." },
    { .path = "api.idempotency-window", SPAN(api.idempotency_window_ms), .fallback = "5min", .min = 100, .max = 24 * HOUR,
      .reload = RELOAD_NOW, .summary = "For how long a call that comes again with its key is not carried out again.",
      .details = "It is answered as the first one was; see rtcd(8), HTTP API. Keys are kept in memory: a restart forgets them." },
    { .path = "api.idempotency-keys", NUMBER(api.idempotency_keys), .fallback = "10000", .min = 1, .max = 10000000, .reload = RELOAD_NOW,
      .summary = "How many calls with an idempotency key are remembered.",
      .details = "One whose answer is longer than 256 bytes, as a batch's is, counts once more for each 256. When there are more, the oldest is "
                 "forgotten of a group that has among the most, counted for each caller by itself: so many for one group leave those for "
                 "others alone." },

    { .path = "net.flush", FLUSH(net.flush), .fallback = "write", .reload = RELOAD_RESTART,
      .summary = "How bytes reach the sockets.",
      .details = "write: one system call for each connection and turn. uring: many connections in one system call, by "
                 "io_uring, where the kernel has it and allows it; else write is used, and the log says why." },

    { .path = "tls.certificates", LIST(tls.certificates), .fallback = "", .check = check_certificate, .reload = RELOAD_NEW,
      .summary = "The certificates for addresses with tls: in front, each with its key.",
      .details = "Each is CERTIFICATE:KEY, two absolute paths of PEM files, or one path of a file that holds both. The certificate's file "
                 "holds the chain as well, the server's own first. A client gets the first whose names cover the one that it asks for "
                 "(SNI), else the first of all. A file with a key that its group or others may read is refused. The files are read "
                 "again at a reload, and when they change." },
    { .path = "tls.minimum", TLS_VERSION(tls.minimum), .fallback = "1.2", .reload = RELOAD_NEW,
      .summary = "The oldest version of TLS that clients may speak.", .details = "" },
    { .path = "tls.client-ca", TEXT(tls.client_ca), .fallback = "", .check = check_path, .reload = RELOAD_NEW,
      .summary = "A PEM file with the authorities that sign clients' certificates.", .details = "" },
    { .path = "tls.client-certificate", CERTIFICATE(tls.client_certificate), .fallback = "none", .reload = RELOAD_NEW,
      .summary = "Whether clients show a certificate.",
      .details = "request: they may; require: they must. One that tls.client-ca did not sign, or that has expired, ends the handshake." },
    { .path = "tls.client-user", CERTIFICATE_USER(tls.client_user), .fallback = "none", .reload = RELOAD_NEW,
      .summary = "Which name in a client's certificate is its user.",
      .details = "common-name is the subject's; dns-name, email and uri are the first subject alternative name of that kind. A client "
                 "with a certificate needs no other credentials then; one whose certificate has no such name is refused." },
    { .path = "tls.plain", PLAIN(tls.plain), .fallback = "refuse", .reload = RELOAD_NOW,
      .summary = "What a client gets that speaks HTTP without TLS where TLS is spoken.",
      .details = "refuse: an answer that says so (400). redirect: the way to the same address with https." },
    { .path = "tls.handshake-timeout", SPAN(tls.handshake_timeout_ms), .fallback = "10s", .min = 100, .max = 1 * HOUR,
      .reload = RELOAD_NOW, .summary = "How long a TLS handshake may take.", .details = "In all, however many bytes come." },
    { .path = "tls.handshakes", NUMBER(tls.handshakes), .fallback = "1000", .min = 1, .max = 1000000, .reload = RELOAD_NOW,
      .summary = "How many TLS handshakes may be under way at once, for each worker.",
      .details = "When there are more, the one that began first is ended: good ones are over soon." },

    { .path = "transports.websocket", FLAG(transports.websocket), .fallback = "true", .reload = RELOAD_NEW,
      .summary = "Offer WebSocket.", .details = "" },
    { .path = "transports.sse", FLAG(transports.sse), .fallback = "true", .reload = RELOAD_NEW,
      .summary = "Offer server-sent events.", .details = "" },
    { .path = "transports.longpoll", FLAG(transports.longpoll), .fallback = "true", .reload = RELOAD_NEW,
      .summary = "Offer long polling.", .details = "" },
    { .path = "transports.shortpoll", FLAG(transports.shortpoll), .fallback = "true", .reload = RELOAD_NEW,
      .summary = "Offer short polling.", .details = "" },
    { .path = "transports.poll-wait", SPAN(transports.poll_wait_ms), .fallback = "25s", .min = 100, .max = 10 * MINUTE,
      .reload = RELOAD_NOW, .summary = "How long a long poll waits for envelopes.", .details = "The default, and the most a client may ask for." },
    { .path = "transports.poll-bytes", SIZE(transports.poll_batch_bytes), .fallback = "64KiB", .min = 1 * KIB, .max = 16 * MIB,
      .reload = RELOAD_NOW, .summary = "Where the answer to one poll stops growing.", .details = "An envelope larger than this still goes out, alone." },
    { .path = "protocols.json", FLAG(protocols.json), .fallback = "true", .reload = RELOAD_NEW,
      .summary = "Offer JSON.", .details = "" },
    { .path = "protocols.msgpack", FLAG(protocols.msgpack), .fallback = "true", .reload = RELOAD_NEW,
      .summary = "Offer MessagePack.", .details = "" },

    { .path = "compression.websocket", FLAG(compression.websocket), .fallback = "false", .reload = RELOAD_NEW,
      .summary = "Compress WebSocket messages for clients that offer it (permessage-deflate).",
      .details = "A message is compressed once for all who get it. Off unless asked for: where a message holds a secret beside text of "
                 "somebody else's choice, its compressed size tells of the secret; and clients that may compress compress all that they "
                 "send, however short." },
    { .path = "compression.polls", FLAG(compression.polls), .fallback = "false", .reload = RELOAD_NOW,
      .summary = "Compress the bodies of polls and sends for clients that do it (gzip).",
      .details = "Answers to polls where Accept-Encoding has gzip, sends that have Content-Encoding: gzip. Unlike WebSocket messages, each answer is compressed for its client alone." },
    { .path = "compression.min-bytes", SIZE(compression.min_bytes), .fallback = "1KiB", .max = 64 * MIB, .reload = RELOAD_NOW,
      .summary = "The smallest message or body that is compressed.",
      .details = "A network packet holds as much in any case. What does not shrink goes out as it is." },
    { .path = "compression.level", NUMBER(compression.level), .fallback = "4", .min = 1, .max = 9, .reload = RELOAD_NOW,
      .summary = "How hard is tried: from 1, fast, to 9, small.", .details = "" },

    { .path = "connection.anonymous", FLAG(connection.anonymous), .fallback = "false", .reload = RELOAD_NEW,
      .summary = "Let clients connect without credentials.", .details = "With one, by auth.keys, they may in any case." },
    { .path = "connection.peer-users", FLAG(connection.peer_users), .fallback = "false", .reload = RELOAD_NEW,
      .summary = "Let clients on Unix sockets connect as the user whose process they are.",
      .details = "By the kernel's word, without other credentials; a user that has no name here is uid:NUMBER. Not for a socket that a "
                 "proxy connects to, whose user all its clients would be." },
    { .path = "connection.claimed-users", FLAG(connection.claimed_users), .fallback = "false", .reload = RELOAD_NEW,
      .summary = "Believe the query parameter user.",
      .details = "For development, or behind a proxy that sets it: whoever can connect can be anybody." },
    { .path = "connection.message-bytes", SIZE(connection.message_bytes), .fallback = "64KiB", .min = 128, .max = 64 * MIB,
      .reload = RELOAD_NOW, .summary = "The largest envelope that a client may send.",
      .details = "Lowering it concerns connected clients too, which were told the larger one. The data of a handler's reply may not be "
                 "larger either." },
    { .path = "connection.message-fragments", NUMBER(connection.message_fragments), .fallback = "1024", .min = 1, .max = 65536,
      .reload = RELOAD_NOW, .summary = "In how many WebSocket frames an envelope may come.", .details = "" },
    { .path = "connection.keep-alive", SPAN(connection.keep_alive_ms), .fallback = "15s", .min = 100, .max = 1 * HOUR,
      .reload = RELOAD_NOW, .summary = "How long silence may last before a ping.", .details = "" },
    { .path = "connection.timeout", SPAN(connection.timeout_ms), .fallback = "30s", .min = 200, .max = 24 * HOUR,
      .reload = RELOAD_NOW, .summary = "How long silence may last before a transport is given up.", .details = "" },
    { .path = "connection.open-timeout", SPAN(connection.open_timeout_ms), .fallback = "15s", .min = 100, .max = 10 * MINUTE,
      .reload = RELOAD_NOW, .summary = "How long a negotiated connection waits for its first transport.", .details = "" },
    { .path = "connection.groups", NUMBER(connection.groups), .fallback = "128", .min = 1, .max = 10000, .reload = RELOAD_NOW,
      .summary = "In how many groups a connection may be.", .details = "" },

    { .path = "gate.headers", LIST(gate.headers), .fallback = "user-agent", .check = check_header, .reload = RELOAD_NOW,
      .summary = "Which headers of a request for a connection are shown to whoever judges it.",
      .details = "To webhooks and plug-ins, as cookie, say. At most 16; of those that come more than once the first." },
    { .path = "gate.waiting", NUMBER(gate.waiting), .fallback = "1000", .min = 1, .max = 1000000, .reload = RELOAD_NOW,
      .summary = "How many requests for a connection may wait until a webhook has judged them.",
      .details = "More are refused (503), and may come again. limits.connects-per-address keeps one address from being all of them." },
    { .path = "gate.timeout", SPAN(gate.timeout_ms), .fallback = "10s", .min = 100, .max = 10 * MINUTE, .reload = RELOAD_NOW,
      .summary = "How long such a request may wait.", .details = "Then it is refused (408)." },

    { .path = "plugins", LIST(plugins), .fallback = "", .check = check_plugin, .reload = RELOAD_RESTART,
      .summary = "The plug-ins that look at connections and events in the daemon itself.",
      .details = "Each is the absolute path of a shared object, and behind a blank what it is given as arguments. They are asked in this "
                 "order. The file must belong to root or to the daemon's user, and only its owner may write it. A plug-in can do "
                 "whatever the daemon can: see rtcd_plugin(3)." },

    { .path = "auth.keys", LIST(auth.keys), .fallback = "", .check = check_key_source, .reload = RELOAD_NOW,
      .summary = "The keys by which access tokens (JWT) are verified.",
      .details = "Each is the absolute path of a file, or credential:NAME for one that systemd passes (LoadCredential=), and holds a "
                 "public key in PEM, a certificate, a JWK or a JWK set; behind alg=HS256, a secret of 32 bytes or more. An https URL "
                 "has public keys: it is asked at the start and every auth.url-refresh, and its last good answer counts. The key "
                 "decides the algorithm: RS256 (RSA; PS256 behind alg=PS256), ES256 (P-256), EdDSA (Ed25519). kid=ID names a key "
                 "that its file does not name, and issuer=ISSUER binds it to tokens with that iss. Files with a secret or a private "
                 "key must be readable to the daemon's user alone. To change keys, list both until the old tokens are over. A reload "
                 "reads them again, whole or not at all." },
    { .path = "auth.api-keys", TEXT(auth.api_keys), .fallback = "", .check = check_api_keys, .reload = RELOAD_NOW,
      .summary = "The file that lists the API keys of programs.",
      .details = "Its absolute path, or credential:NAME for one that systemd passes. Each line is a key's name, its hash, and what it "
                 "may do; see API keys. It must be readable to the daemon's user alone. A reload reads it again, whole or not at all; "
                 "connections of a key whose line was taken away or changed end with it." },
    { .path = "auth.issuers", LIST(auth.issuers), .fallback = "", .reload = RELOAD_NOW,
      .summary = "The issuers (iss) of whom tokens are taken.",
      .details = "For keys that name no issuer of their own. Empty: any." },
    { .path = "auth.audiences", LIST(auth.audiences), .fallback = "", .reload = RELOAD_NOW,
      .summary = "The audiences (aud) of which a token must name one.",
      .details = "Empty: only tokens without aud are taken." },
    { .path = "auth.leeway", SPAN(auth.leeway_ms), .fallback = "2s", .max = 10 * MINUTE, .reload = RELOAD_NOW,
      .summary = "How far the clock of who issues tokens may differ.", .details = "In whole seconds." },
    { .path = "auth.require-exp", FLAG(auth.requires_exp), .fallback = "true", .reload = RELOAD_NOW,
      .summary = "Refuse tokens that never expire.", .details = "" },
    { .path = "auth.user-claim", TEXT(auth.user_claim), .fallback = "sub", .check = check_claim, .reload = RELOAD_NOW,
      .summary = "The claim that names the user.", .details = "" },
    { .path = "auth.rights-claim", TEXT(auth.rights_claim), .fallback = "rtc", .check = check_claim, .reload = RELOAD_NOW,
      .summary = "The claim that says what the token allows.",
      .details = "An object with any of join, publish, presence and history, each a list of patterns of groups as in a rule of groups, "
                 "and to, a list of user, connection and all, to whom the client may publish beside groups. At most 64 patterns of 4096 "
                 "bytes in all; a token with a wrong one is refused." },
    { .path = "auth.url-refresh", SPAN(auth.url_refresh_ms), .fallback = "10min", .min = 1 * SECOND, .max = 24 * HOUR,
      .reload = RELOAD_NOW, .summary = "How often the URLs among auth.keys are asked.",
      .details = "One that does not answer is asked again after 2 seconds, and then after twice as long each time, up to 64." },
    { .path = "auth.url-retry", SPAN(auth.url_retry_ms), .fallback = "10s", .min = 1 * SECOND, .max = 24 * HOUR, .reload = RELOAD_NOW,
      .summary = "How soon they are asked again for a token that no key known here has signed.",
      .details = "Counted from when they were asked last, however many such tokens come." },
    { .path = "auth.query-token", FLAG(auth.takes_query), .fallback = "true", .reload = RELOAD_NOW,
      .summary = "Take access tokens from the query, too.",
      .details = "As access_token=, for WebSocket and server-sent events alone, since browsers send no header with these. Proxies on "
                 "the way may write queries to their logs." },

    { .path = "auth.revocations", NUMBER(auth.revocations), .fallback = "10000", .min = 1, .max = 10000000, .reload = RELOAD_NOW,
      .summary = "How many revocations there may be.",
      .details = "Beyond it, rtcctl revoke is refused: to forget another would let somebody in again." },
    { .path = "auth.revocations-file", TEXT(auth.revocations_file), .fallback = "", .check = check_path, .reload = RELOAD_RESTART,
      .summary = "The file that keeps revocations over a restart.",
      .details = "Empty: revocations in $STATE_DIRECTORY, which systemd sets (StateDirectory=); where that is not set, a restart forgets "
                 "them. The daemon's user must be able to make files beside it." },

    { .path = "resume.window", SPAN(resume.window_ms), .fallback = "60s", .min = 100, .max = 24 * HOUR, .reload = RELOAD_NOW,
      .summary = "How long a connection without a transport waits for its client.", .details = "" },
    { .path = "resume.envelopes", NUMBER(resume.envelopes), .fallback = "256", .min = 1, .max = 1000000, .reload = RELOAD_NOW,
      .summary = "How many sent envelopes are kept until they are acknowledged.",
      .details = "When there are more, the oldest are forgotten, which costs the ability to resume from there." },
    { .path = "resume.bytes", SIZE(resume.bytes), .fallback = "256KiB", .min = 1 * KIB, .max = 256 * MIB, .reload = RELOAD_NOW,
      .summary = "How many bytes of sent envelopes are kept until they are acknowledged.", .details = "" },
    { .path = "resume.parked", NUMBER(resume.parked), .fallback = "20000", .min = 1, .max = 10000000, .reload = RELOAD_NOW,
      .summary = "How many connections without a transport there may be.",
      .details = "When there are more, the one that has waited longest ends." },
    { .path = "resume.parked-per-user", NUMBER(resume.parked_per_user), .fallback = "32", .min = 1, .max = 100000,
      .reload = RELOAD_NOW, .summary = "How many connections without a transport a user may have.", .details = "" },

    { .path = "queue.bytes", SIZE(queue.bytes), .fallback = "1MiB", .min = 4 * KIB, .max = 1024 * MIB, .reload = RELOAD_NOW,
      .summary = "How many bytes may wait to be sent to a client.",
      .details = "With more, envelopes of groups whose slow is drop-oldest or latest are dropped, the oldest first, until an eighth is "
                 "free again, and the client is told (rtc.gap). A client for whom that is not enough is closed (slow-consumer)." },
    { .path = "queue.envelopes", NUMBER(queue.envelopes), .fallback = "4096", .min = 16, .max = 10000000, .reload = RELOAD_NOW,
      .summary = "How many envelopes may wait to be sent to a client.", .details = "As for queue.bytes." },
    { .path = "queue.soft-bytes", SIZE(queue.soft_bytes), .fallback = "512KiB", .min = 4 * KIB, .max = 1024 * MIB, .reload = RELOAD_NOW,
      .summary = "How many bytes may wait to be sent to a client for long.",
      .details = "More than that for queue.soft-time without a break is as much as more than queue.bytes at once. With queue.bytes or "
                 "more there is no such limit." },
    { .path = "queue.soft-time", SPAN(queue.soft_time_ms), .fallback = "30s", .min = 100, .max = 1 * HOUR, .reload = RELOAD_NOW,
      .summary = "For how long more than queue.soft-bytes may wait.", .details = "" },
    { .path = "queue.time", SPAN(queue.time_ms), .fallback = "10s", .min = 100, .max = 1 * HOUR, .reload = RELOAD_NOW,
      .summary = "How long an envelope may wait for a client's socket.",
      .details = "Counted while a transport carries the connection. A client with older ones is closed (slow-consumer), unless all "
                 "those are of groups whose slow is drop-oldest or latest, and are dropped." },

    { .path = "limits.connections", NUMBER(limits.connections), .fallback = "100000", .min = 1, .max = 10000000,
      .reload = RELOAD_NOW, .summary = "How many connections there may be.",
      .details = "Each takes a file descriptor. The last ones are kept for the admin socket, for the config's files and the like: "
                 "admin.connections and 16 more, but an eighth of all at most (LimitNOFILE). While no others are free, new clients wait "
                 "with the kernel." },
    { .path = "limits.connections-per-address", NUMBER(limits.connections_per_address), .fallback = "1000", .max = 10000000,
      .special = "unlimited", .reload = RELOAD_NOW, .summary = "How many connections one address may have.",
      .details = "0 or unlimited: as many as there may be." },
    { .path = "limits.connections-per-user", NUMBER(limits.connections_per_user), .fallback = "1000", .max = 10000000,
      .special = "unlimited", .reload = RELOAD_NOW, .summary = "How many connections one user may have.",
      .details = "Those without a transport are counted too. 0 or unlimited: as many as there may be." },
    { .path = "limits.messages-per-connection", RATE(limits.messages_per_connection),
      .summary = "How many envelopes a connection may send in a second.", .details = "What is beyond it is refused (rate-limited); the connection stays." },
    { .path = "limits.messages-per-user", RATE(limits.messages_per_user),
      .summary = "How many envelopes a user may send in a second.", .details = "All connections of the user together, on all workers." },
    { .path = "limits.publishes-per-connection", RATE(limits.publishes_per_connection),
      .summary = "How many envelopes a connection may publish in a second.", .details = "What is beyond it is refused (rate-limited); the connection stays." },
    { .path = "limits.publishes-per-user", RATE(limits.publishes_per_user),
      .summary = "How many envelopes a user may publish in a second.", .details = "All connections of the user together, on all workers." },
    { .path = "limits.joins-per-connection", RATE(limits.joins_per_connection),
      .summary = "How many groups a connection may join in a second.", .details = "What is beyond it is refused (rate-limited); the connection stays." },
    { .path = "limits.joins-per-user", RATE(limits.joins_per_user),
      .summary = "How many groups a user may join in a second.", .details = "All connections of the user together, on all workers." },
    { .path = "limits.connects-per-address", RATE(limits.connects_per_address),
      .summary = "How many connections an address may open in a minute.", .details = "Of IPv6, all addresses of a /64 together." },
    { .path = "limits.failures-per-address", RATE(limits.failures_per_address),
      .summary = "How many credentials of an address may be refused in a minute.",
      .details = "Beyond it none of its are looked at." },
    { .path = "limits.handshakes-per-address", RATE(limits.handshakes_per_address),
      .summary = "How many TLS handshakes an address may begin in a minute and not bring to an end.",
      .details = "Beyond it its sockets are closed at once. Of IPv6, all addresses of a /64 together." },
    { .path = "limits.burst", SPAN(limits.burst_ms), .fallback = "5s", .min = 1, .max = 1 * HOUR, .reload = RELOAD_NOW,
      .summary = "For how long a rate of these limits may be saved up.",
      .details = "As much as a rate allows in this time may come at once. What is counted in minutes may all come at once." },
    { .path = "limits.mailbox", NUMBER(limits.mailbox), .fallback = "16384", .min = 64, .max = 10000000, .reload = RELOAD_RESTART,
      .summary = "How many letters may wait for one worker.",
      .details = "Beyond it, publishers are held up or told to try again. As many may wait for the main thread; beyond that life-cycle "
                 "events are lost, and those who want them are told (rtc.gap)." },
    { .path = "limits.fanout-slice", NUMBER(limits.fanout_slice), .fallback = "4096", .min = 16, .max = 1000000,
      .reload = RELOAD_NOW, .summary = "How many members are served before other clients have their turn.", .details = "" },

    { .path = "groups-default.join", WHO(GROUP_JOIN), .fallback = "anyone",
      .summary = "Which clients may join a group.",
      .details = "Where no rule of groups says. Each word includes those before it: nobody; token, those whose access token allows "
                 "it; members, those who are in the group already; anyone." },
    { .path = "groups-default.presence", WHO(GROUP_PRESENCE), .fallback = "members",
      .summary = "Which clients may ask who is in a group.", .details = "In the words of groups-default.join, where no rule of groups says." },
    { .path = "groups-default.history", WHO(GROUP_HISTORY), .fallback = "members",
      .summary = "Which clients may ask what was published to a group.",
      .details = "In the words of groups-default.join, where no rule of groups says." },
    { .path = "publish.to-group", WHO(GROUP_PUBLISH), .fallback = "token",
      .summary = "Which clients may publish to a group.",
      .details = "In the words of groups-default.join, where no rule of groups says." },
    { .path = "publish.to-user", FLAG(publish.to_user), .fallback = "false", .reload = RELOAD_NOW,
      .summary = "Let clients publish to users.", .details = "Where it is off, those may whose access token allows it (auth.rights-claim)." },
    { .path = "publish.to-connection", FLAG(publish.to_connection), .fallback = "false", .reload = RELOAD_NOW,
      .summary = "Let clients publish to connections.", .details = "Where it is off, those may whose access token allows it (auth.rights-claim)." },
    { .path = "publish.to-all", FLAG(publish.to_all), .fallback = "false", .reload = RELOAD_NOW,
      .summary = "Let clients publish to everybody.", .details = "Where it is off, those may whose access token allows it (auth.rights-claim)." },

    { .path = "hooks.source", TEXT(hooks.source), .fallback = "rtcd", .check = check_source, .reload = RELOAD_NOW,
      .summary = "Who requests to webhooks say that they come from (source).",
      .details = "For receivers who hear of several daemons: a URI, or a part of one." },

    { .path = "hooks.spool", TEXT(hooks.spool), .fallback = "", .check = check_path, .reload = RELOAD_RESTART,
      .summary = "The file that keeps what waits for webhooks over a restart.",
      .details = "As /var/lib/rtcd/webhooks. It is for the daemon's user alone, and for one daemon. Empty: what waits is lost with the daemon." },
    { .path = "hooks.spool-bytes", SIZE(hooks.spool_bytes), .fallback = "64MiB", .min = 4 * KIB, .max = 1024 * MIB, .reload = RELOAD_NOW,
      .summary = "How long that file may become.",
      .details = "What comes beyond it waits in memory alone, and is counted (webhook_unspooled)." },
    { .path = "hooks.spool-sync", CHOICE(hooks.spool_sync, config_spool_sync, "none each"), .fallback = "none", .reload = RELOAD_NOW,
      .summary = "When what is in that file is on the disk.",
      .details = "none: when the kernel writes it; what waits outlives the daemon, however it ends, but a loss of power may take the latest. "
                 "each: each event is, by fdatasync(2), before the next one is looked at, and outlives that, too; it holds up webhooks and the "
                 "admin socket meanwhile." },

    { .path = "history.groups", NUMBER(history.groups), .fallback = "10000", .min = 64, .max = 10000000, .reload = RELOAD_NOW,
      .summary = "How many groups may remember what was published (history-envelopes, under groups).",
      .details = "When there are more, the one that was joined or published to longest ago forgets. Counted for each sixty-fourth part of "
                 "them by itself." },
    { .path = "history.store", CHOICE(history.store, config_store, "memory disk"), .fallback = "memory", .reload = RELOAD_RESTART,
      .summary = "Whether histories outlive the daemon.",
      .details = "memory: they are gone with it. disk: what groups remember is written to history.path as well, with its offsets and epochs, "
                 "and is there again after a restart or a crash. It is held in memory all the same: limits and answers are no others." },
    { .path = "history.path", TEXT(history.path), .fallback = "", .reload = RELOAD_RESTART,
      .summary = "The folder for histories on disk.",
      .details = "Empty: history in $STATE_DIRECTORY, which systemd sets (StateDirectory=). It is made where it is missing; one daemon alone "
                 "may use it. It should be on a local file system." },
    { .path = "history.sync", CHOICE(history.sync, config_sync, "each interval never"), .fallback = "each", .reload = RELOAD_RESTART,
      .summary = "What is certain about an envelope that was acknowledged.",
      .details = "each: it is on the disk (fsync). The reply to who publishes waits for that; members get the envelope at once. Whatever is on its "
                 "way together is written together. interval: it is on the disk within history.sync-interval; what was acknowledged "
                 "in that time may be lost in a crash, of the daemon as of the machine. never: it is given to the system at once and written "
                 "when that likes; in a crash of the daemon what waited for that, mostly milliseconds, may be lost, and in one of the machine as "
                 "much as the system had not written, or the whole file, which is then refused at the start. "
                 "After a crash with each, offsets go on behind a gap, and since an offset that is stored is answered as ever; with the others "
                 "every group has a new epoch, so that nobody is told recovered who lacks something." },
    { .path = "history.sync-interval", SPAN(history.sync_interval_ms), .fallback = "1s", .min = 10, .max = 1 * HOUR, .reload = RELOAD_RESTART,
      .summary = "How much time of acknowledged envelopes a crash may cost.", .details = "With history.sync: interval." },
    { .path = "history.disk-bytes", SIZE(history.disk_bytes), .fallback = "1GiB", .min = 16 * MIB, .max = 1024ull * 1024 * MIB,
      .reload = RELOAD_RESTART, .summary = "How large the file with histories may be.",
      .details = "A quarter of it is room for changes. When the rest is full, the group that was published to longest ago goes from the disk; it "
                 "stays in memory, and what is published to it next is written again." },
    { .path = "history.queue", NUMBER(history.queue), .fallback = "16384", .min = 64, .max = 1000000, .reload = RELOAD_RESTART,
      .summary = "How many changes of histories may wait for the disk.",
      .details = "Beyond it, who publishes to a group that remembers is held up or told to try again. So it is too while the disk cannot be written." },
    { .path = "history.queue-bytes", SIZE(history.queue_bytes), .fallback = "64MiB", .min = 1 * MIB, .max = 65536ull * MIB,
      .reload = RELOAD_RESTART, .summary = "How many bytes of envelopes may wait for the disk.", .details = "As for history.queue." },

    { .path = "closed.keep", SPAN(closed.keep_ms), .fallback = "10min", .max = 24 * HOUR, .reload = RELOAD_NOW,
      .summary = "How long connections that have ended are listed.", .details = "By rtcctl list closed, with the reason. 0: not at all." },
    { .path = "closed.count", NUMBER(closed.count), .fallback = "1000", .max = 10000, .reload = RELOAD_NOW,
      .summary = "How many connections that have ended are listed.",
      .details = "When there are more, the oldest are forgotten; each worker keeps its part of them for its own connections." },

    { .path = "presence.members", NUMBER(presence.members), .fallback = "100", .max = 10000, .reload = RELOAD_NOW,
      .summary = "In how large a group members are named, by rtc.presence, rtc.joined and rtc.left.",
      .details = "Of a larger one only their number is told. Where users are announced or asked for, it is users that count. All "
                 "names together must fit into queue.bytes: a connection's takes about 100 bytes, and its user and info." },
    { .path = "presence.interval", SPAN(presence.interval_ms), .fallback = "500ms", .min = 50, .max = 1 * MINUTE, .reload = RELOAD_NOW,
      .summary = "For how long it is gathered who comes and goes before members are told.",
      .details = "In groups with presence-events: in each such time at most one rtc.left and one rtc.joined." },

    { .path = "handlers.timeout", SPAN(handlers.timeout_ms), .fallback = "5s", .min = 10, .max = 1 * HOUR, .reload = RELOAD_NOW,
      .summary = "How long a handler may take to reply to an event.",
      .details = "Then the client is told timeout, and what the handler says later is dropped." },
    { .path = "handlers.pending", NUMBER(handlers.pending), .fallback = "10000", .min = 1, .max = 1000000, .reload = RELOAD_NOW,
      .summary = "How many events may wait for a handler's reply.", .details = "Beyond it clients are told to try again (rate-limited)." },
    { .path = "handlers.pending-per-connection", NUMBER(handlers.pending_per_connection), .fallback = "100", .min = 1, .max = 1000000,
      .reload = RELOAD_NOW, .summary = "How many of them may be one connection's.", .details = "" },
    { .path = "handlers.queue-bytes", SIZE(handlers.queue_bytes), .fallback = "16MiB", .min = 64 * KIB, .max = 1024 * MIB,
      .reload = RELOAD_NOW, .summary = "How many bytes of events may be on their way to handlers.",
      .details = "What waits for one handler is bounded besides: by admin.queue-bytes for a program on the admin socket." },

    { .path = "log.daemon", LEVEL(log_levels[LOG_AREA_DAEMON]), .fallback = "info", .reload = RELOAD_NOW,
      .summary = "How much is logged of starting, stopping and systemd.", .details = "" },
    { .path = "log.config", LEVEL(log_levels[LOG_AREA_CONFIG]), .fallback = "info", .reload = RELOAD_NOW,
      .summary = "How much is logged of the config.", .details = "" },
    { .path = "log.net", LEVEL(log_levels[LOG_AREA_NET]), .fallback = "info", .reload = RELOAD_NOW,
      .summary = "How much is logged of sockets, HTTP and transports.", .details = "" },
    { .path = "log.core", LEVEL(log_levels[LOG_AREA_CORE]), .fallback = "warning", .reload = RELOAD_NOW,
      .summary = "How much is logged of connections, groups and users.", .details = "At info, each connection's end." },
    { .path = "log.admin", LEVEL(log_levels[LOG_AREA_ADMIN]), .fallback = "info", .reload = RELOAD_NOW,
      .summary = "How much is logged of the admin socket.", .details = "" },
};

const size_t option_count = COUNT_OF(options);
const struct option_table option_table = {options, COUNT_OF(options)};
_Static_assert(COUNT_OF(options) <= OPTIONS_MAX, "raise OPTIONS_MAX in config.h");
