/**
 * Why an upgraded connection was refused or ended. `code` is stable; the text never carries bytes of a stream.
 * `UPGRADE_REFUSED` and `UPGRADE_ANSWER` belong to the handshake, `PROTOCOL` and `LIMIT` to a peer that breaks the protocol or a
 * named limit, `PEER_GONE` to a connection that ended without its proper end, `TIMEOUT` to a wait, `ABORTED` to this side's user,
 * `REFUSED` to a stream that the peer didn't take, `RESET` to one that it gave up.
 */
export type StreamsErrorCode =
  | 'UPGRADE_REFUSED'
  | 'UPGRADE_ANSWER'
  | 'PROTOCOL'
  | 'LIMIT'
  | 'PEER_GONE'
  | 'TIMEOUT'
  | 'ABORTED'
  | 'REFUSED'
  | 'RESET'

export class StreamsError extends Error {
  constructor(
    readonly code: StreamsErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'StreamsError'
  }
}

/** A peer that speaks wrongly. */
export function protocolError(message: string): StreamsError {
  return new StreamsError('PROTOCOL', message)
}

/** A peer that exceeds a named limit. */
export function limitError(message: string): StreamsError {
  return new StreamsError('LIMIT', message)
}

/** What was thrown or emitted, as an error of this package: its own are kept, anything else means that the connection broke. */
export function asStreamsError(thrown: unknown): StreamsError {
  return thrown instanceof StreamsError ? thrown : new StreamsError('PEER_GONE', 'the connection broke', { cause: thrown })
}
