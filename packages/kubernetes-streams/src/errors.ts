/** The peer broke the protocol: nothing more of it is read. */
export class StreamProtocolError extends Error {
  override readonly name = 'StreamProtocolError'
}
