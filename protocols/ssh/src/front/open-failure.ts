import type { Connection } from 'ssh2'

/** RFC 4254 section 5.1. */
const administrativelyProhibited = 1
/** OpenSSH's client prints one line of about 1000 bytes, and writes out in octal what isn't ASCII. */
const maxCharacters = 700

/**
 * Refuses a channel with a text (the description of RFC 4254 section 5.1), which OpenSSH's client prints. ssh2 sends an
 * empty one and always calls it a failure to connect; where a later version moves what is needed here, so does this (a unit test notices).
 */
export function refuseOpen(connection: Connection | undefined, reject: () => void, text: string): void {
  const protocol: unknown = connection && Reflect.get(connection, '_protocol')
  const send: unknown = typeof protocol === 'object' && protocol !== null ? Reflect.get(protocol, 'channelOpenFail') : undefined
  if (typeof protocol !== 'object' || protocol === null || typeof send !== 'function') return reject()
  const told = describe(text)
  const prohibited = text.startsWith('Sallyport')
  // For this one answer: what ssh2 keeps account of, it keeps.
  Reflect.set(protocol, 'channelOpenFail', (recipient: unknown, reason: unknown): unknown => Reflect.apply(send, protocol, [recipient, prohibited ? administrativelyProhibited : reason, told]))
  try {
    reject()
  } finally {
    Reflect.deleteProperty(protocol, 'channelOpenFail')
  }
}

function describe(text: string): string {
  const line = text
    .replace(/[\u2018\u2019]/g, "'")
    .replace(/\s+/g, ' ')
    .replace(/[^\x20-\x7e]/g, '?')
    .trim()
  return line.length > maxCharacters ? `${line.slice(0, maxCharacters - 3)}...` : line
}
