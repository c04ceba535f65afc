import { sign, type KeyObject } from 'node:crypto'
import type { Client } from 'ssh2'

const userauthRequest = 50

/**
 * Makes a client's public key authentication send an OpenSSH certificate (PROTOCOL.certkeys) and sign with its key.
 * ssh2 has no certificates: it would send the bare key, and name the certificate's algorithm in the signature, which
 * servers refuse. So its method for this request is replaced on the one connection, and writes the request itself
 * (RFC 4252 section 7).
 * @returns false where a later version of ssh2 has moved what is needed (an end-to-end test notices)
 */
export function authenticateWithCertificate(client: Client, certificate: { readonly algorithm: string; readonly blob: Uint8Array; readonly key: KeyObject }): boolean {
  const protocol = property(client, '_protocol')
  if (typeof protocol !== 'object' || protocol === null || typeof property(protocol, 'authPK') !== 'function') return false
  const send = (username: string, _key: unknown, _algorithm: unknown, signer?: unknown): void => {
    const signed = typeof signer === 'function' || typeof _algorithm === 'function'
    const body = Buffer.concat([
      Buffer.of(userauthRequest),
      text(username),
      text('ssh-connection'),
      text('publickey'),
      Buffer.of(signed ? 1 : 0),
      text(certificate.algorithm),
      text(certificate.blob),
    ])
    if (!signed) return packet(protocol, body)
    const session = property(property(protocol, '_kex'), 'sessionID')
    if (!Buffer.isBuffer(session)) throw new Error('no session id')
    // Ed25519 keys only, which is what the agent makes.
    const signature = sign(null, Buffer.concat([text(session), body]), certificate.key)
    packet(protocol, Buffer.concat([body, text(Buffer.concat([text('ssh-ed25519'), text(signature)]))]))
  }
  return Reflect.set(protocol, 'authPK', send)
}

/** Sends one packet, and tells ssh2 which answer to expect. */
function packet(protocol: object, body: Buffer): void {
  const writer = property(property(protocol, '_packetRW'), 'write')
  const cipher = property(protocol, '_cipher')
  const queue = property(protocol, '_authsQueue')
  const start = property(writer, 'allocStart')
  const allocated: unknown = call(writer, 'alloc', [body.length])
  if (!Buffer.isBuffer(allocated) || typeof start !== 'number' || !Array.isArray(queue)) throw new Error('ssh2 has changed')
  allocated.set(body, start)
  queue.push('publickey')
  call(cipher, 'encrypt', [call(writer, 'finalize', [allocated])])
}

function call(of: unknown, name: string, args: readonly unknown[]): unknown {
  const method = property(of, name)
  if (typeof method !== 'function') throw new Error('ssh2 has changed')
  return Reflect.apply(method, of, [...args])
}

function text(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value)
  const out = Buffer.alloc(4 + bytes.length)
  out.writeUInt32BE(bytes.length)
  out.set(bytes, 4)
  return out
}

function property(of: unknown, name: string): unknown {
  return typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined
}
