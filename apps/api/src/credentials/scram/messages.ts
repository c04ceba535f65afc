/** Malformed, or a binding or nonce that doesn't fit. The client learns no more than that it failed. */
export class ScramError extends Error {
  override readonly name = 'ScramError'
}

/** libpq's first message is about 30 bytes, its last about 200 with channel binding. */
const maxMessageBytes = 2048
const maxNonceLength = 256

export interface ClientFirst {
  /** `n`: can't bind. `y`: can, but thinks that we can't. `p`: binds. */
  readonly binding: 'n' | 'y' | 'p'
  readonly bindingName: string
  /** With its commas: what `c=` of the final message must repeat. */
  readonly gs2Header: string
  readonly bare: string
  readonly nonce: string
}

export interface ClientFinal {
  readonly channelBinding: Buffer
  readonly nonce: string
  readonly withoutProof: string
  readonly proof: Buffer
}

/** client-first-message, RFC 5802 section 7. An authzid or a mandatory extension is refused. */
export function parseClientFirst(bytes: Uint8Array): ClientFirst {
  const text = decode(bytes)
  const match = /^((n|y|p=([A-Za-z0-9.-]{1,64})),(a=[^,]*)?,)(.*)$/s.exec(text)
  if (!match) throw new ScramError('malformed gs2 header')
  const [, gs2Header = '', flag = '', bindingName = '', authzid, bare = ''] = match
  if (authzid !== undefined) throw new ScramError('an authorization identity is not supported')
  const fields = /^n=([^,]*),r=([\x21-\x2b\x2d-\x7e]+)(,.*)?$/s.exec(bare)
  const nonce = fields?.[2]
  if (nonce === undefined || nonce.length > maxNonceLength) throw new ScramError('malformed first message')
  return { binding: flag === 'n' ? 'n' : flag === 'y' ? 'y' : 'p', bindingName, gs2Header, bare, nonce }
}

/** client-final-message, RFC 5802 section 7. The proof is its last field. */
export function parseClientFinal(bytes: Uint8Array): ClientFinal {
  const text = decode(bytes)
  const match = /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[^p][^,]*)*),p=([A-Za-z0-9+/=]+)$/s.exec(text)
  if (!match) throw new ScramError('malformed final message')
  const [, withoutProof = '', binding = '', nonce = '', proof = ''] = match
  if (nonce.length > 2 * maxNonceLength) throw new ScramError('malformed final message')
  return { channelBinding: Buffer.from(binding, 'base64'), nonce, withoutProof, proof: Buffer.from(proof, 'base64') }
}

function decode(bytes: Uint8Array): string {
  if (bytes.length > maxMessageBytes) throw new ScramError('message too long')
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new ScramError('not UTF-8')
  }
}
