/** The server can't be had: no binaries, no account, no way to its data, or it didn't start. The message says which. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError'
}
