/** Bytes that one side may send on a channel before the other has consumed any. */
export const DEFAULT_WINDOW = 256 * 1024

/** Most bytes of one data frame, so that no session holds the stream for longer than that takes. */
export const MAX_DATA_FRAME = 64 * 1024

/** A batch is handed to the stream once it holds this much, even within a turn of the event loop. */
export const FLUSH_BYTES = 64 * 1024

/**
 * No batch is larger, an `open` frame with a huge grant excepted, which then travels alone. gRPC's receive limit
 * is 4 MiB, and a batch is what a small frame behind it waits for.
 */
export const MAX_BATCH = 256 * 1024

/** Most bytes of a grant and its parameters in an `open` frame: half of the receive limit. */
export const MAX_OPEN = 2 * 1024 * 1024

/** Rough size of a frame's tags and lengths on the wire. */
export const FRAME_OVERHEAD = 16

/** Out-of-band signals that wait for the stream, and those that wait for a handler; later ones are dropped. */
export const MAX_SIGNALS = 16

export const MAX_SIGNAL_BYTES = 1024

/** Chunks that may wait for a reader which hasn't started: guards against a window's worth of one-byte frames. */
export const MAX_EARLY_CHUNKS = 4_096
