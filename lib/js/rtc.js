/*
 * rtc.js: a client of rtcd (rtc-protocol(7)) for browsers and Node >= 20, without dependencies. rtc.d.ts says what each of these
 * promises. bundle.py makes one file of all for pages.
 *
 *   builder        every property, checked as a whole
 *   client         what a program sees
 *   conversation   what is said and answered: sent_queue, replies, groups
 *   carrier        which link carries the connection, and when to try another: negotiator, connection, reconnect_policy, page
 *   link           one attempt of one transport: numbers, acknowledgements, silence
 *   transports     websocket, sse, polling, posting: how a link carries envelopes; they know no policy
 *   codecs         how a value is written
 *   http, clocks, errors, values, limits
 */
export { Builder } from "./src/builder.js";
export { Client } from "./src/client.js";
export { jsonCodec, msgpackCodec } from "./src/codecs.js";
export { CLOSE_CODES, RtcError } from "./src/errors.js";
