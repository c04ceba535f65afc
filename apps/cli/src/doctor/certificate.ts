import type { PeerCertificate } from 'node:tls'
import { connectionFailure } from '../http/wire.js'
import { fail, fine, warn, type Check } from './check.js'
import { dial, handshake } from './sockets.js'

const soonDays = 14
const dayMilliseconds = 86_400_000

/** What a good certificate's dates say. */
export function certificateCheck(name: string, certificate: PeerCertificate, now: number): Check {
  const days = Math.floor((Date.parse(certificate.valid_to) - now) / dayMilliseconds)
  const until = `verified; its certificate is valid until ${certificate.valid_to}`
  return days < soonDays ? warn(name, `${until} (${days} days)`, 'renew the certificate') : fine(name, until)
}

/** TCP, TLS and the certificate of a listener. */
export async function tlsCheck(name: string, host: string, port: number, ca: string | undefined, fixes: { readonly dead: string; readonly untrusted: string }): Promise<Check> {
  let socket
  try {
    socket = await dial(host, port)
  } catch (error) {
    return fail(name, `can't connect to ${host}:${port}: ${connectionFailure(error)}`, fixes.dead)
  }
  try {
    return certificateCheck(name, await handshake(socket, host, ca), Date.now())
  } catch (error) {
    return fail(name, `TLS with ${host}:${port} failed: ${connectionFailure(error)}`, fixes.untrusted)
  } finally {
    socket.destroy()
  }
}
