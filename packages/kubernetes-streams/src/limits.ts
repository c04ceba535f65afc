/** Payload of a WebSocket control frame (RFC 6455 section 5.5). */
export const MAX_CONTROL_PAYLOAD = 125

/**
 * Bytes of one WebSocket message over all its fragments. Payload is passed on as it arrives and never assembled, so this guards no
 * memory; it ends a peer whose message never does. Real peers send 32 KiB.
 */
export const MAX_MESSAGE = 16 * 1024 * 1024

/** Fragments of one message; Go's gorilla/websocket cuts a message at its 32 KiB write buffer. */
export const MAX_FRAGMENTS = 4096

/** Bytes of a WebSocket or SPDY data frame that this side sends: what another stream's frame waits for at most. */
export const DATA_FRAME = 32 * 1024

/** Bytes of a connection that may be written before it has taken them: enough that it never waits for this side. */
export const SEND_AHEAD = 128 * 1024

/** Bytes of a SPDY control frame with compressed headers; Kubernetes sends under 200. */
export const MAX_SPDY_CONTROL = 16 * 1024

/** Bytes of one inflated SPDY header block, and so the most that a zlib bomb can become. */
export const MAX_HEADER_BLOCK = 16 * 1024

/** Headers in one block. */
export const MAX_HEADERS = 32

/** Streams that a peer may have open at once in a port-forward session: 128 connections of two. */
export const MAX_PORT_STREAMS = 256

/** Connections of a port-forward session of which only one stream has come. */
export const MAX_HALF_PAIRS = 32

/** Characters of a port-forward requestID; kubectl counts from 0. */
export const MAX_REQUEST_ID = 64

/** Received bytes of one stream that wait for its reader before the whole connection is no longer read. */
export const STREAM_BUFFER = 256 * 1024

/** The same over all streams of a connection. */
export const CONNECTION_BUFFER = 1024 * 1024

/** What one waiting chunk counts beyond its bytes, so that one-byte frames can't cost a hundred times what they count. */
export const CHUNK_COST = 256

/** Answers (pong, ping, reset, reply) that wait because the peer reads nothing; beyond, the peer floods on purpose. */
export const MAX_ANSWER_BACKLOG = 64 * 1024

/** Bytes of a final metav1.Status. */
export const MAX_STATUS = 64 * 1024

/** Bytes of an unfinished terminal size (JSON), and sizes that wait for a reader; the oldest is dropped, the last one counts. */
export const MAX_RESIZE = 256
export const MAX_WAITING_RESIZES = 16

/** Bytes of the text that a port-forward error stream carries. */
export const MAX_ERROR_TEXT = 16 * 1024

/** Milliseconds for a peer to create its announced streams, or to answer a new one (the kubelet's and client-go's own 30 s). */
export const STREAM_CREATION_MS = 30_000

/** Milliseconds for a peer to take the last bytes and close, after this side has closed. */
export const CLOSE_GRACE_MS = 5_000

/** Milliseconds in which the last word of a session that is cut (a status, a close, a goodbye) may still leave. */
export const LAST_WORD_MS = 1_000
