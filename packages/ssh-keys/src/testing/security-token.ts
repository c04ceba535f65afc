import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { parsePublicKey, publicKeyOf, type SshPublicKey, type TokenKeyType } from '../public-key.js'
import { WireReader, WireWriter } from '../wire.js'

const sha256 = (bytes: Uint8Array | string): Buffer => createHash('sha256').update(bytes).digest()

/** A FIDO security token in software (PROTOCOL.u2f): for tests, where nobody can touch a real one. */
export class SoftwareToken {
  readonly publicKey: SshPublicKey
  readonly #key: KeyObject
  #counter = 0

  constructor(readonly type: TokenKeyType, application = 'ssh:') {
    const ed25519 = type === 'sk-ssh-ed25519@openssh.com'
    this.#key = (ed25519 ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' })).privateKey
    const plain = publicKeyOf(this.#key)
    const fields = new WireReader(plain.blob)
    fields.name()
    this.publicKey = parsePublicKey(new WireWriter().string(type).raw(plain.blob.subarray(fields.position)).string(application).bytes())
  }

  /** The signature blob, flags and counter behind it. `application`, `flags`: what the token signs, when it isn't what it should be. */
  sign(data: Uint8Array, { flags = 0x01, application = 'ssh:' } = {}): Buffer {
    this.#counter += 1
    const signed = new WireWriter().raw(sha256(application)).byte(flags).uint32(this.#counter).raw(sha256(data)).bytes()
    return new WireWriter().string(this.type).string(this.#raw(signed)).byte(flags).uint32(this.#counter).bytes()
  }

  #raw(signed: Buffer): Buffer {
    if (this.type === 'sk-ssh-ed25519@openssh.com') return sign(null, signed, this.#key)
    const both = sign('sha256', signed, { key: this.#key, dsaEncoding: 'ieee-p1363' })
    return new WireWriter().positiveInteger(both.subarray(0, 32)).positiveInteger(both.subarray(32)).bytes()
  }
}
