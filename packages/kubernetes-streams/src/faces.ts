import type { Duplex, Readable, Writable } from 'node:stream'
import type { StreamsError } from './errors.js'
import type { Status } from './status.js'

/** Which streams the query announced. With a terminal there is no stderr: the kubelet drops it too. */
export interface RequestedStreams {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly tty: boolean
}

/** Columns and rows of a terminal. */
export interface TerminalSize {
  readonly width: number
  readonly height: number
}

/** What both ends of an exec or attach share. */
export interface RemoteCommandSession {
  readonly requested: RequestedStreams
  /** Resolves once the connection is over: with nothing after a proper end, else with the reason. Never rejects. */
  readonly closed: Promise<StreamsError | undefined>
  /** Ends everything at once. `reason` is for this side's streams; a server also tells its message to the client. Idempotent. */
  abort(reason?: StreamsError): void
}

/**
 * The server's end, toward kubectl. Every stream has back-pressure; a reader that stops makes the connection unread. Reading
 * `stdin` to its end means that the client closed it; a cut connection destroys it with an error instead. Streams may be destroyed
 * at any time: what comes for them is dropped.
 */
export interface RemoteCommandServer extends RemoteCommandSession {
  readonly role: 'server'
  readonly stdin: Readable | undefined
  readonly stdout: Writable | undefined
  readonly stderr: Writable | undefined
  /** The client's terminal sizes (object mode, `TerminalSize`); only with a terminal. The last one is never lost. */
  readonly resizes: Readable | undefined
  /**
   * Ends the output streams, sends the status after the last byte of output and closes. Resolves when the connection is over, which
   * needs the client to read its output; {@link abort} ends that wait.
   */
  finish(status: Status): Promise<void>
}

/** The client's end, toward the API server or kubelet: the same shape, the other way round. */
export interface RemoteCommandClient extends RemoteCommandSession {
  readonly role: 'client'
  /** Ending it half-closes the command's stdin (v4 over WebSocket can't: ending then does nothing on the wire). */
  readonly stdin: Writable | undefined
  readonly stdout: Readable | undefined
  readonly stderr: Readable | undefined
  /** Tells the terminal's size; without a terminal it does nothing. */
  resize(size: TerminalSize): void
  /** The final status. Rejects with {@link StreamsError} when the connection ends without one. Output may still wait to be read. */
  readonly status: Promise<Status>
}

/** One forwarded connection at the server's end. */
export interface ForwardedConnection {
  readonly port: number
  readonly requestId: string
  /** The connection's bytes, half-close both ways. Destroying it resets the stream. */
  readonly data: Duplex
  /** Tells the client why the connection failed (at most MAX_ERROR_TEXT bytes are sent) and resets the data stream. */
  fail(message: string): void
  /** Ends the error stream; to be called once when the connection is done. Called by itself when `data` closes. */
  done(): void
}

/** One opened connection at the client's end. */
export interface OpenedConnection {
  readonly port: number
  readonly requestId: string
  readonly data: Duplex
  /** The server's error text, or undefined when its error stream ended without one. Never rejects. */
  readonly error: Promise<string | undefined>
}

export interface PortForwardSession {
  /** As {@link RemoteCommandSession.closed}. */
  readonly closed: Promise<StreamsError | undefined>
  /** Takes no new connections, resets those that are open, and closes. Idempotent. */
  close(): void
  /** Ends everything at once. Idempotent. */
  abort(reason?: StreamsError): void
}

export interface PortForwardClient extends PortForwardSession {
  /**
   * Opens a connection to the pod's port (1–65535). Rejects with REFUSED, TIMEOUT, or why the session is over. That the streams
   * are open doesn't say that the pod answers: a failure comes later by `error`.
   */
  open(port: number): Promise<OpenedConnection>
}
