import type { Socket } from 'node:net'
import type { ByteChannel, ChannelError } from '@sallyport/kit'

/** How long a client has to take its last message before the socket is destroyed. */
const lingerMilliseconds = 2000

/**
 * Joins a client's socket and its session's channel, with back-pressure both ways. The bytes aren't looked at: what
 * they mean is the agent's business.
 */
export function pipe(socket: Socket, channel: ByteChannel, first: Buffer, wording: (error: ChannelError) => Buffer): void {
  let unconfirmed = 0
  let over = false

  const send = (chunk: Buffer): void => {
    if (channel.write(chunk)) return
    socket.pause()
    void channel.writable().then(() => {
      if (!over) socket.resume()
    })
  }
  const confirm = (): void => {
    const bytes = unconfirmed
    unconfirmed = 0
    if (bytes > 0) channel.consumed(bytes)
  }
  const finish = (): void => {
    over = true
    setTimeout(() => socket.destroy(), lingerMilliseconds).unref()
  }

  channel.start({
    onData(bytes) {
      unconfirmed += bytes.length
      if (socket.write(bytes)) confirm()
    },
    onEnd() {
      if (!over) socket.end()
      finish()
    },
    onClose(error) {
      if (over) {
        socket.end()
        return
      }
      if (error && !socket.destroyed) socket.end(wording(error))
      else socket.end()
      finish()
    },
  })
  socket.on('drain', confirm)
  socket.on('data', send)
  socket.on('end', () => channel.end())
  socket.on('close', () => {
    over = true
    channel.close()
  })
  if (first.length > 0) send(first)
  if (socket.readableEnded) channel.end()
  else socket.resume()
}
