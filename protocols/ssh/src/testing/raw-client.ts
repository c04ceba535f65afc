import { createCipheriv, createDecipheriv, createHash, createPublicKey, diffieHellman, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { WireReader, WireWriter, type GeneratedKeyPair } from '@sallyport/ssh-keys'

/** Message numbers (RFC 4250 section 4.1.2). */
export const msg = {
  disconnect: 1, ignore: 2, unimplemented: 3, serviceRequest: 5, serviceAccept: 6, kexInit: 20, newKeys: 21, kexInitEcdh: 30, kexReplyEcdh: 31,
  userauthRequest: 50, userauthFailure: 51, userauthSuccess: 52, userauthBanner: 53, userauthPkOk: 60, globalRequest: 80, requestSuccess: 81, requestFailure: 82,
  channelOpen: 90, channelOpenConfirmation: 91, channelOpenFailure: 92, windowAdjust: 93, channelData: 94, channelExtendedData: 95,
  channelEof: 96, channelClose: 97, channelRequest: 98, channelSuccess: 99, channelFailure: 100,
} as const

export interface RawOptions {
  readonly ident?: string
  /** Names in KEXINIT's ten lists, by position; what isn't there has the usual. */
  readonly lists?: Readonly<Record<number, string>>
  /** Sent in clear behind our KEXINIT: what a man in the middle would inject (CVE-2023-48795). */
  readonly inject?: Buffer
}

const lists = ['curve25519-sha256,kex-strict-c-v00@openssh.com', 'ssh-ed25519,ecdsa-sha2-nistp256', 'aes128-gcm@openssh.com', 'aes128-gcm@openssh.com', 'hmac-sha2-256-etm@openssh.com', 'hmac-sha2-256-etm@openssh.com', 'none', 'none', '', '']
const x25519Prefix = Buffer.from('302a300506032b656e032100', 'hex')

/**
 * An SSH client written by hand, to do what no honest one does: every byte is the test's own to choose. Speaks
 * curve25519-sha256 and AES-128-GCM, and checks nothing.
 */
export class RawClient {
  readonly messages: Buffer[] = []
  sessionId: Buffer = Buffer.alloc(0)
  serverIdent = ''
  /** The server's KEXINIT. */
  serverKexInit: Buffer = Buffer.alloc(0)
  closed = false
  #input: Buffer = Buffer.alloc(0)
  #wake: (() => void)[] = []
  #send: Gcm | undefined
  #receive: Gcm | undefined
  #armed: Gcm | undefined
  #encrypted = false

  private constructor(
    readonly socket: net.Socket,
    readonly options: RawOptions,
  ) {
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.closed = true
      this.#notify()
    })
    socket.on('data', (bytes: Buffer) => {
      this.#input = Buffer.concat([this.#input, bytes])
      this.#cut()
      this.#notify()
    })
  }

  /** A connection on which nothing has been said. */
  static async open(port: number, options: RawOptions = {}): Promise<RawClient> {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    const client = new RawClient(socket, options)
    await once(socket, 'connect')
    return client
  }

  /** Key exchange done, nobody authenticated. */
  static async connect(port: number, options: RawOptions = {}): Promise<RawClient> {
    const client = await RawClient.open(port, options)
    await client.exchangeKeys()
    return client
  }

  async exchangeKeys(): Promise<void> {
    const ident = this.options.ident ?? 'SSH-2.0-Raw'
    this.socket.write(`${ident}\r\n`)
    const init = new WireWriter().byte(msg.kexInit).raw(randomBytes(16))
    for (const [index, names] of lists.entries()) init.string(this.options.lists?.[index] ?? names)
    const own = init.byte(0).uint32(0).bytes()
    this.send(own)
    if (this.options.inject !== undefined) this.send(this.options.inject)
    this.serverKexInit = await this.take(msg.kexInit)
    const { privateKey, publicKey } = generateKeyPairSync('x25519')
    const ours = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
    this.send(new WireWriter().byte(msg.kexInitEcdh).string(ours).bytes())
    const reader = new WireReader((await this.take(msg.kexReplyEcdh)).subarray(1))
    const hostKey = reader.string()
    const theirs = reader.string()
    const secret = diffieHellman({ privateKey, publicKey: createPublicKey({ key: Buffer.concat([x25519Prefix, theirs]), format: 'der', type: 'spki' }) })
    const shared = new WireWriter().positiveInteger(secret).bytes()
    const hash = createHash('sha256')
      .update(new WireWriter().string(ident).string(this.serverIdent).string(own).string(this.serverKexInit).string(hostKey).string(ours).string(theirs).raw(shared).bytes())
      .digest()
    this.sessionId = hash
    const derive = (letter: string, length: number): Buffer => createHash('sha256').update(shared).update(hash).update(letter).update(hash).digest().subarray(0, length)
    this.#armed = new Gcm(derive('D', 16), derive('B', 12))
    this.send(Buffer.of(msg.newKeys))
    this.#send = new Gcm(derive('C', 16), derive('A', 12))
    this.#cut()
    await this.take(msg.newKeys)
  }

  /** One packet around this payload. */
  send(payload: Uint8Array): void {
    if (this.socket.destroyed) return
    this.socket.write(this.packet(payload))
  }

  /** The bytes of a packet; each may be sent once, and in this order. */
  packet(payload: Uint8Array): Buffer {
    const block = this.#send === undefined ? 8 : 16
    const counted = this.#send === undefined ? 5 : 1
    let padding = block - ((counted + payload.length) % block)
    if (padding < 4) padding += block
    const body = Buffer.concat([Buffer.of(padding), payload, randomBytes(padding)])
    const length = Buffer.alloc(4)
    length.writeUInt32BE(body.length)
    return this.#send === undefined ? Buffer.concat([length, body]) : this.#send.seal(length, body)
  }

  write(bytes: Uint8Array | string): void {
    if (!this.socket.destroyed) this.socket.write(bytes)
  }

  /** The next message of a kind, taken out of the queue. @throws when the connection ends first */
  async take(kind: number, milliseconds = 10_000): Promise<Buffer> {
    return this.takeAny([kind], milliseconds)
  }

  async takeAny(kinds: readonly number[], milliseconds = 10_000): Promise<Buffer> {
    const deadline = Date.now() + milliseconds
    for (;;) {
      const index = this.messages.findIndex((message) => kinds.includes(message[0] ?? 0))
      const [found] = index < 0 ? [] : this.messages.splice(index, 1)
      if (found !== undefined) return found
      if (this.closed) throw new Error(`the connection ended before message ${kinds.join(' or ')}`)
      if (Date.now() > deadline) throw new Error(`no message ${kinds.join(' or ')}; there were ${this.messages.map((message) => message[0]).join(' ')}`)
      await this.#changed(deadline - Date.now())
    }
  }

  /** @throws when the server leaves the connection open */
  async ended(milliseconds = 10_000): Promise<void> {
    const deadline = Date.now() + milliseconds
    while (!this.closed) {
      if (Date.now() > deadline) throw new Error('the connection is still open')
      await this.#changed(deadline - Date.now())
    }
  }

  async requestService(name = 'ssh-userauth'): Promise<void> {
    this.send(new WireWriter().byte(msg.serviceRequest).string(name).bytes())
    await this.take(msg.serviceAccept)
  }

  /** The request for authentication by key, without the signature (RFC 4252 section 7). */
  keyRequest(user: string, algorithm: string, blob: Uint8Array, signed: boolean): Buffer {
    return new WireWriter().byte(msg.userauthRequest).string(user).string('ssh-connection').string('publickey').byte(signed ? 1 : 0).string(algorithm).string(blob).bytes()
  }

  /** Signs with an Ed25519 key; `sessionId` to lie about which connection it is for. */
  signedKeyRequest(user: string, key: GeneratedKeyPair, sessionId: Uint8Array = this.sessionId): Buffer {
    const request = this.keyRequest(user, 'ssh-ed25519', key.publicKey.blob, true)
    const signature = sign(null, new WireWriter().string(sessionId).raw(request).bytes(), key.privateKey)
    return Buffer.concat([request, new WireWriter().string(new WireWriter().string('ssh-ed25519').string(signature).bytes()).bytes()])
  }

  /** Logs in; the answer's message number tells whether. */
  async logIn(user: string, key: GeneratedKeyPair): Promise<number> {
    await this.requestService()
    this.send(this.signedKeyRequest(user, key))
    return (await this.takeAny([msg.userauthSuccess, msg.userauthFailure], 20_000))[0] ?? 0
  }

  openChannel(type: string, more: Uint8Array = Buffer.alloc(0), facts: { id?: number; window?: number; packet?: number } = {}): void {
    const { id = 0, window = 2 ** 21, packet = 32_768 } = facts
    this.send(new WireWriter().byte(msg.channelOpen).string(type).uint32(id).uint32(window).uint32(packet).raw(more).bytes())
  }

  /** A session channel; resolves with the server's number of it. */
  async session(facts: { id?: number; window?: number; packet?: number } = {}): Promise<number> {
    this.openChannel('session', Buffer.alloc(0), facts)
    return (await this.take(msg.channelOpenConfirmation)).readUInt32BE(5)
  }

  request(channel: number, type: string | Uint8Array, more: Uint8Array = Buffer.alloc(0), wantReply = true): void {
    this.send(new WireWriter().byte(msg.channelRequest).uint32(channel).string(type).byte(wantReply ? 1 : 0).raw(more).bytes())
  }

  exec(channel: number, command: string | Uint8Array): void {
    this.request(channel, 'exec', new WireWriter().string(command).bytes())
  }

  data(channel: number, bytes: Uint8Array): void {
    this.send(new WireWriter().byte(msg.channelData).uint32(channel).string(bytes).bytes())
  }

  /** Waits for the channel's close; resolves with all that it showed and its exit status. */
  async finished(milliseconds = 10_000): Promise<{ output: string; status: number | undefined }> {
    await this.take(msg.channelClose, milliseconds)
    let output = ''
    let status: number | undefined
    for (const message of this.messages) {
      if (message[0] === msg.channelData) output += message.subarray(9).toString()
      if (message[0] === msg.channelExtendedData) output += message.subarray(13).toString()
      if (message[0] === msg.channelRequest && message.includes('exit-status')) status = message.readUInt32BE(message.length - 4)
    }
    this.messages.length = 0
    return { output, status }
  }

  destroy(): void {
    this.socket.destroy()
  }

  #cut(): void {
    if (this.serverIdent === '') {
      const end = this.#input.indexOf('\r\n')
      if (end < 0) return
      this.serverIdent = this.#input.subarray(0, end).toString()
      this.#input = this.#input.subarray(end + 2)
    }
    for (;;) {
      // What comes behind the server's NEWKEYS is encrypted; it may be here before the keys are.
      if (this.#encrypted) this.#receive ??= this.#armed
      if (this.#input.length < 4 || (this.#encrypted && this.#receive === undefined)) return
      const total = 4 + this.#input.readUInt32BE(0) + (this.#receive === undefined ? 0 : 16)
      if (this.#input.length < total) return
      const packet = this.#input.subarray(0, total)
      const body = this.#receive === undefined ? packet.subarray(4) : this.#receive.open(packet)
      this.#input = this.#input.subarray(total)
      const payload = Buffer.from(body.subarray(1, body.length - (body[0] ?? 0)))
      this.messages.push(payload)
      if (payload[0] === msg.newKeys) this.#encrypted = true
    }
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }

  #changed(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, milliseconds))
      this.#wake.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

/** RFC 5647, as OpenSSH has it. */
class Gcm {
  readonly #key: Buffer
  readonly #nonce: Buffer

  constructor(key: Buffer, nonce: Buffer) {
    this.#key = key
    this.#nonce = Buffer.from(nonce)
  }

  seal(length: Buffer, body: Buffer): Buffer {
    const cipher = createCipheriv('aes-128-gcm', this.#key, this.#nonce)
    cipher.setAAD(length)
    const sealed = Buffer.concat([length, cipher.update(body), cipher.final(), cipher.getAuthTag()])
    this.#count()
    return sealed
  }

  open(packet: Buffer): Buffer {
    const decipher = createDecipheriv('aes-128-gcm', this.#key, this.#nonce)
    decipher.setAAD(packet.subarray(0, 4))
    decipher.setAuthTag(packet.subarray(-16))
    const body = Buffer.concat([decipher.update(packet.subarray(4, -16)), decipher.final()])
    this.#count()
    return body
  }

  #count(): void {
    this.#nonce.writeBigUInt64BE(BigInt.asUintN(64, this.#nonce.readBigUInt64BE(4) + 1n), 4)
  }
}
