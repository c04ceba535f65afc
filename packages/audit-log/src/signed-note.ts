import { createHash, createPublicKey, verify, type JsonWebKey, type KeyObject } from 'node:crypto'

/**
 * Checkpoints of the log in the form that witnesses and monitors of transparency logs read: a signed note
 * (https://c2sp.org/signed-note) whose text is a checkpoint (https://c2sp.org/tlog-checkpoint).
 */
export interface Checkpoint {
  /** Names the log: {@link originOf}. */
  readonly origin: string
  /** Records in the log. */
  readonly size: bigint
  /** Root of their hash tree. */
  readonly root: Buffer
  /** RFC 3339; an extension line. */
  readonly time: string
}

const maxNote = 16 * 1024

/** A log is named by the key that signs it: `sallyport.dev/log/` and 16 hex digits. */
export function originOf(key: JsonWebKey): string {
  return `sallyport.dev/log/${createHash('sha256').update(rawKey(key)).digest('hex').slice(0, 16)}`
}

/** What is signed: everything up to the empty line. */
export function checkpointText({ origin, size, root, time }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\ntime ${time}\n`
}

/**
 * @param key Ed25519 public key (JWK) of the signer
 * @param signature over {@link checkpointText}
 */
export function noteOf(checkpoint: Checkpoint, key: JsonWebKey, signature: Uint8Array): string {
  return `${checkpointText(checkpoint)}\n— ${checkpoint.origin} ${Buffer.concat([keyIdOfNote(checkpoint.origin, key), signature]).toString('base64')}\n`
}

/**
 * Reads a note that one of the keys has signed under the name that belongs to it. Signatures of others (witnesses) may stand
 * beside it.
 * @returns undefined when it is not a checkpoint of a log of these keys
 */
export function readNote(note: string, keys: readonly JsonWebKey[]): Checkpoint | undefined {
  if (note.length > maxNote) return undefined
  const end = note.indexOf('\n\n')
  if (end === -1 || !note.endsWith('\n')) return undefined
  const text = note.slice(0, end + 1)
  const checkpoint = readText(text)
  if (checkpoint === undefined) return undefined
  const lines = note.slice(end + 2, -1).split('\n')
  return keys.some((key) => lines.some((line) => isSignedBy(line, text, checkpoint.origin, key))) ? checkpoint : undefined
}

function readText(text: string): Checkpoint | undefined {
  const [origin = '', size = '', root = '', extension = '', ...more] = text.slice(0, -1).split('\n')
  const time = /^time (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)$/.exec(extension)?.[1]
  if (more.length > 0 || origin === '' || time === undefined || !/^(0|[1-9]\d{0,18})$/.test(size)) return undefined
  const hash = Buffer.from(root, 'base64')
  return hash.length === 32 && hash.toString('base64') === root ? { origin, size: BigInt(size), root: hash, time } : undefined
}

function isSignedBy(line: string, text: string, origin: string, jwk: JsonWebKey): boolean {
  try {
    if (originOf(jwk) !== origin || !line.startsWith(`— ${origin} `)) return false
    const encoded = line.slice(origin.length + 3)
    const blob = Buffer.from(encoded, 'base64')
    if (blob.length !== 68 || blob.toString('base64') !== encoded || !blob.subarray(0, 4).equals(keyIdOfNote(origin, jwk))) return false
    return verify(null, Buffer.from(text), publicKeyOf(jwk), blob.subarray(4))
  } catch {
    return false
  }
}

/** First four bytes of SHA-256 over name, newline, the algorithm's byte (1: Ed25519) and the key. */
function keyIdOfNote(origin: string, key: JsonWebKey): Buffer {
  return createHash('sha256').update(`${origin}\n`).update(Buffer.from([1])).update(rawKey(key)).digest().subarray(0, 4)
}

function publicKeyOf(jwk: JsonWebKey): KeyObject {
  const key = createPublicKey({ key: jwk, format: 'jwk' })
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('not an Ed25519 key')
  return key
}

function rawKey({ kty, crv, x }: JsonWebKey): Buffer {
  if (kty !== 'OKP' || crv !== 'Ed25519' || typeof x !== 'string') throw new Error('not an Ed25519 key')
  return Buffer.from(x, 'base64url')
}
