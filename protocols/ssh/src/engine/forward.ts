import type { Guard, Permit } from '@sallyport/kit'
import type { Client, ClientChannel } from 'ssh2'
import type { WireChannel } from '../wire/wire.js'

/** Joins a forwarded connection at the target and the client's channel, bytes as they are, with back-pressure both ways. */
export function joinForward(stream: ClientChannel, wire: WireChannel, onEnd: (bytes: number) => void): { onData(bytes: Buffer): void; onEof(): void; onClose(): void } {
  let bytes = 0
  let over = false
  const finish = (): void => {
    if (over) return
    over = true
    onEnd(bytes)
    wire.close()
  }
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (wire.write(chunk)) return
    stream.pause()
    void wire.drained().then(() => stream.resume())
  })
  stream.on('end', () => wire.eof())
  stream.on('close', finish)
  stream.on('error', finish)
  return {
    onData(chunk) {
      bytes += chunk.length
      if (over) wire.consumed(chunk.length)
      else stream.write(chunk, () => wire.consumed(chunk.length))
    },
    onEof: () => stream.end(),
    onClose: () => {
      stream.close()
      stream.resume()
      finish()
    },
  }
}

/** Opens a connection from the target; undefined when the target can't or won't. */
export function forwardOut(upstream: Client, origin: { host: string; port: number }, to: { host: string; port: number }): Promise<ClientChannel | undefined> {
  return new Promise((resolve) => {
    try {
      upstream.forwardOut(origin.host, origin.port, to.host, to.port, (error, stream) => resolve(error === undefined ? stream : undefined))
    } catch {
      resolve(undefined)
    }
  })
}

export function endForward(guard: Guard, permit: Permit, bytes: number): void {
  void guard.finish(permit, { status: 'ok', rows: 0, bytes, masked: 0 })
}
