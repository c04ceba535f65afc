import { createHash, randomBytes } from 'node:crypto'

/** RFC 6455, section 1.3. */
const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** A fresh `Sec-WebSocket-Key`. */
export function newWebSocketKey(): string {
  return randomBytes(16).toString('base64')
}

/** What a server answers to a key (`Sec-WebSocket-Accept`). */
export function webSocketAccept(key: string): string {
  return createHash('sha1').update(key + guid).digest('base64')
}

/** Whether a key is 16 bytes in canonical base64 (RFC 6455, section 4.1). */
export function isWebSocketKey(key: string | undefined): key is string {
  return key !== undefined && /^[A-Za-z0-9+/]{22}==$/.test(key) && Buffer.from(key, 'base64').toString('base64') === key
}
