/*
 * Bounds and times that more than one module goes by.
 */

export const KIB = 1024, MIB = 1024 * KIB;
export const MESSAGE_BYTES_MAX = 16 * MIB;      // whatever comes is not buffered beyond this
export const CHECK_MS = 5000;                   // how long the other side may take to show that it is there
export const FAREWELL_MS = 2000;                // how long stop() waits for the server
export const POLL_WAIT_MS = 25000;
export const SHORT_POLL_MAX_MS = 2000;

/* The protocol's own events that neither side counts. */
export const UNNUMBERED = new Set(["rtc.welcome", "rtc.ping", "rtc.pong", "rtc.ack", "rtc.close"]);
