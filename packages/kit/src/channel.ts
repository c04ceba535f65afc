/**
 * The byte stream between front and engine, one per session, already windowed by the tunnel.
 * One reader, one writer.
 */
export interface ByteChannel {
  /**
   * Sends. Returns false when the peer's window is used up: the caller then stops and awaits {@link writable}.
   * The channel keeps the buffer; the caller must not reuse it.
   */
  write(bytes: Uint8Array): boolean
  /** Resolves when the channel takes bytes again. */
  writable(): Promise<void>
  /** Set by the one reader. `onData` returns nothing; call {@link consumed} as bytes leave the reader's hands. */
  start(reader: ChannelReader): void
  /** Gives the peer room for so many more bytes. */
  consumed(bytes: number): void
  /** Half-close: nothing more will be written. */
  end(): void
  /** Ends both directions, with an error for the other side or none. Idempotent. */
  close(error?: ChannelError): void
}

export interface ChannelReader {
  onData(bytes: Buffer): void
  /** The peer will send no more. */
  onEnd(): void
  /** The channel is over, for whatever reason; called once. */
  onClose(error: ChannelError | undefined): void
}

export interface ChannelError {
  /** Stable code, see each room's errors. */
  readonly code: string
  readonly message: string
  readonly hint: string
}
