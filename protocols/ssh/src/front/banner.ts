import type { Connection } from 'ssh2'

const userauthBanner = 53

/**
 * Sends SSH_MSG_USERAUTH_BANNER (RFC 4252 section 5.4), which clients print: the only way to tell one that
 * authenticates by key why it is refused. ssh2 sends a banner before authentication only and has no call for it, so
 * this goes through its packet writer; where a later version moves that, nothing is sent (a unit test notices).
 * Returns whether it was.
 */
export function sendBanner(connection: Connection, text: string): boolean {
  const protocol = property(connection, '_protocol')
  const writer = property(property(protocol, '_packetRW'), 'write')
  const cipher = property(protocol, '_cipher')
  const alloc = property(writer, 'alloc')
  const finalize = property(writer, 'finalize')
  const encrypt = property(cipher, 'encrypt')
  const start = property(writer, 'allocStart')
  if (typeof alloc !== 'function' || typeof finalize !== 'function' || typeof encrypt !== 'function' || typeof start !== 'number') return false
  // During a key exchange nothing of this kind may be sent (RFC 4253 section 7.1).
  if (property(protocol, '_kexinit') !== undefined) return false
  const message = Buffer.from(text.endsWith('\n') ? text : `${text}\r\n`)
  const packet: unknown = Reflect.apply(alloc, writer, [1 + 4 + message.length + 4])
  if (!Buffer.isBuffer(packet)) return false
  packet[start] = userauthBanner
  packet.writeUInt32BE(message.length, start + 1)
  packet.set(message, start + 5)
  packet.writeUInt32BE(0, start + 5 + message.length)
  Reflect.apply(encrypt, cipher, [Reflect.apply(finalize, writer, [packet])])
  return true
}

function property(of: unknown, name: string): unknown {
  return typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined
}
