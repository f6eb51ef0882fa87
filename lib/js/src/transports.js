/*
 * The list of the built-in transports, best first. What each must have is `interface Transport` in rtc.d.ts; `context` is a Link.
 */
import { LongPollTransport, ShortPollTransport } from "./polling.js";
import { SseTransport } from "./sse.js";
import { WebSocketTransport } from "./websocket.js";

export const TRANSPORTS = [WebSocketTransport, SseTransport, LongPollTransport, ShortPollTransport];
