import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'

/** A SCRAM client for tests, with every part open to meddling. */
export class ScramClient {
  readonly nonce = randomBytes(12).toString('base64')
  #bare = ''

  constructor(
    private readonly secret: string,
    private readonly gs2: string,
    private readonly binding: Uint8Array = new Uint8Array(),
  ) {}

  first(): Buffer {
    this.#bare = `n=,r=${this.nonce}`
    return Buffer.from(this.gs2 + this.#bare)
  }

  final(serverFirst: Buffer): { message: Buffer; serverSignature: string } {
    const text = serverFirst.toString()
    const [, nonce = '', salt = '', iterations = ''] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(text) ?? []
    const salted = pbkdf2Sync(this.secret, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256')
    const mac = (key: Uint8Array, data: string): Buffer => createHmac('sha256', key).update(data).digest()
    const clientKey = mac(salted, 'Client Key')
    const storedKey = createHash('sha256').update(clientKey).digest()
    const c = Buffer.concat([Buffer.from(this.gs2), this.binding]).toString('base64')
    const withoutProof = `c=${c},r=${nonce}`
    const authMessage = `${this.#bare},${text},${withoutProof}`
    const signature = mac(storedKey, authMessage)
    const proof = clientKey.map((byte, i) => byte ^ (signature[i] ?? 0))
    return {
      message: Buffer.from(`${withoutProof},p=${Buffer.from(proof).toString('base64')}`),
      serverSignature: `v=${mac(mac(salted, 'Server Key'), authMessage).toString('base64')}`,
    }
  }
}
