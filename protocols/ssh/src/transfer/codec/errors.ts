/** Bytes that don't follow the SFTP or scp protocol. What follows can't be understood, so the channel ends. */
export class TransferProtocolError extends Error {
  override readonly name = 'TransferProtocolError'
}
