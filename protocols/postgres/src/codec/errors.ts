/** The peer broke the protocol. The connection ends with this as a native error. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  constructor(
    message: string,
    readonly sqlstate = '08P01',
  ) {
    super(message)
  }
}
