import { malformed } from './errors.js'
import { limits } from './limits.js'
import { WireReader } from './wire.js'

/** What a client signs to log in (RFC 4252, section 7). */
export interface SignedRequest {
  /** The exchange hash of the connection (RFC 4253, section 7.2): unique, and part of what both ends chose. */
  readonly sessionId: Buffer
  readonly user: string
  readonly service: string
  readonly algorithm: string
  readonly key: Buffer
}

const userauthRequest = 50

/**
 * Strict: another method, a request without a signature (FALSE: only an offer), or anything left over is refused.
 * @throws {SshKeyError}
 */
export function parseSignedData(bytes: Uint8Array): SignedRequest {
  if (bytes.length > limits.signedData) throw malformed('the signed data is too long')
  const reader = new WireReader(bytes)
  const sessionId = Buffer.from(reader.string())
  // The length of a SHA-2 hash; a shorter one is from a key exchange with SHA-1.
  if (sessionId.length < 32 || sessionId.length > 64) throw malformed('the signed data has no session identifier')
  if (reader.byte() !== userauthRequest) throw malformed('the signed data is no request for authentication')
  const user = reader.text(limits.userName)
  const service = reader.name()
  if (reader.name() !== 'publickey') throw malformed('the signed data is of another authentication method')
  if (reader.byte() !== 1) throw malformed('the signed data is an offer, and proves nothing')
  const algorithm = reader.name()
  const key = Buffer.from(reader.string())
  reader.end()
  if (key.length > limits.blob) throw malformed('the public key is too long')
  return { sessionId, user, service, algorithm, key }
}
