import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import type { Stack } from './stack.js'

/** A message of the server: type letter and body. */
export interface ServerMessage {
  readonly type: string
  readonly body: Buffer
}

/** Speaks the PostgreSQL protocol by hand, as badly as a test wants. */
export class RawClient {
  readonly messages: ServerMessage[] = []
  closed = false
  #buffer = Buffer.alloc(0)
  #raw = false
  #wake: (() => void)[] = []

  private constructor(public socket: net.Socket) {
    this.#listen(socket)
  }

  static connect(stack: Stack, gateway = 0): Promise<RawClient> {
    const socket = net.connect(stack.line.gateways[gateway]?.postgresPort ?? stack.line.gateway.postgresPort, '127.0.0.1')
    return new Promise((resolve, reject) => {
      socket.once('connect', () => resolve(new RawClient(socket)))
      socket.once('error', reject)
    })
  }

  /** Over TLS, logged in with a CI token, at the first ReadyForQuery. */
  static async login(stack: Stack, options: { token?: string; parameters?: Record<string, string>; gateway?: number } = {}): Promise<RawClient> {
    const client = await RawClient.connect(stack, options.gateway)
    await client.startTls(stack)
    client.write(startup({ user: stack.target.name, database: 'orders', ...options.parameters }))
    await client.until('R')
    client.write(message('p', `${options.token ?? (await stack.mint())}\0`))
    await client.until('Z')
    return client
  }

  async startTls(stack: Stack, direct = false): Promise<void> {
    if (!direct) {
      this.#raw = true
      this.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]))
      await this.#until(() => this.#buffer.length >= 1)
      if (this.#buffer[0] !== 0x53) throw new Error('no TLS')
      this.#buffer = Buffer.alloc(0)
      this.#raw = false
    }
    const plain = this.socket
    plain.removeAllListeners('data')
    const secure = tls.connect({ socket: plain, ca: readFileSync(stack.line.gateway.caFile), servername: 'localhost', ALPNProtocols: ['postgresql'] })
    this.socket = secure
    await new Promise<void>((resolve, reject) => {
      secure.once('secureConnect', resolve)
      secure.once('error', reject)
    })
    this.#listen(secure)
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes)
  }

  /** Waits for a message of this type and returns it with all that came before; all are taken. */
  async until(type: string, milliseconds = 10_000): Promise<ServerMessage[]> {
    await this.#until(() => this.messages.some((item) => item.type === type), milliseconds, `message ${type}`)
    const at = this.messages.findIndex((item) => item.type === type)
    return this.messages.splice(0, at + 1)
  }

  async ended(milliseconds = 10_000): Promise<ServerMessage[]> {
    await this.#until(() => this.closed, milliseconds, 'the end of the connection')
    return this.messages
  }

  query(sql: string): void {
    this.write(message('Q', `${sql}\0`))
  }

  destroy(): void {
    this.socket.destroy()
  }

  #listen(socket: net.Socket): void {
    socket.on('data', (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk])
      if (!this.#raw) this.#parse()
      for (const wake of this.#wake.splice(0)) wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.closed = true
      for (const wake of this.#wake.splice(0)) wake()
    })
  }

  #parse(): void {
    while (this.#buffer.length >= 5) {
      const length = this.#buffer.readInt32BE(1) + 1
      if (this.#buffer.length < length) return
      this.messages.push({ type: String.fromCharCode(this.#buffer[0] ?? 0), body: this.#buffer.subarray(5, length) })
      this.#buffer = this.#buffer.subarray(length)
    }
  }

  async #until(done: () => boolean, milliseconds = 10_000, what = 'bytes'): Promise<void> {
    const deadline = Date.now() + milliseconds
    while (!done()) {
      if (Date.now() > deadline || (this.closed && !done())) {
        throw new Error(`${what} never came; messages: ${this.messages.map((item) => item.type).join('')}; ${this.messages.filter((item) => item.type === 'E').map((item) => item.body.toString('latin1')).join(' | ')}`)
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200)
        this.#wake.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }
}

export function message(type: string, body: string | Buffer = ''): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body
  const head = Buffer.alloc(5)
  head.write(type, 0, 'latin1')
  head.writeInt32BE(bytes.length + 4, 1)
  return Buffer.concat([head, bytes])
}

export function startup(parameters: Readonly<Record<string, string>>, code = 0x30000): Buffer {
  const body = Buffer.from(`${Object.entries(parameters).flat().join('\0')}\0\0`, 'utf8')
  const head = Buffer.alloc(8)
  head.writeInt32BE(body.length + 8, 0)
  head.writeInt32BE(code, 4)
  return Buffer.concat([head, body])
}

export const parse = (name: string, sql: string): Buffer => message('P', Buffer.concat([Buffer.from(`${name}\0${sql}\0`), Buffer.alloc(2)]))
export const bind = (portal: string, statement: string, values: readonly string[] = []): Buffer => {
  const count = Buffer.alloc(2)
  count.writeInt16BE(values.length)
  const parts = values.map((value) => {
    const bytes = Buffer.from(value)
    const length = Buffer.alloc(4)
    length.writeInt32BE(bytes.length)
    return Buffer.concat([length, bytes])
  })
  return message('B', Buffer.concat([Buffer.from(`${portal}\0${statement}\0`), Buffer.alloc(2), count, ...parts, Buffer.alloc(2)]))
}
export const execute = (portal: string, rows = 0): Buffer => {
  const count = Buffer.alloc(4)
  count.writeInt32BE(rows)
  return message('E', Buffer.concat([Buffer.from(`${portal}\0`), count]))
}
export const sync = message('S')
export const flush = message('H')

/** Fields of an ErrorResponse. */
export function errorOf(messages: readonly ServerMessage[]): Record<string, string> {
  const error = messages.find((item) => item.type === 'E')
  const fields: Record<string, string> = {}
  for (const part of (error?.body.toString('utf8') ?? '').split('\0')) if (part !== '') fields[part.charAt(0)] = part.slice(1)
  return fields
}

export const types = (messages: readonly ServerMessage[]): string => messages.map((item) => item.type).join('')

/** SCRAM-SHA-256 by hand (RFC 5802), with whatever a test wants to bend. */
export function scramProof(password: string, clientFirstBare: string, serverFirst: string, channel = 'biws'): string {
  const attributes = Object.fromEntries(serverFirst.split(',').map((part) => [part.charAt(0), part.slice(2)]))
  const salted = pbkdf2Sync(password, Buffer.from(attributes['s'] ?? '', 'base64'), Number(attributes['i']), 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  const withoutProof = `c=${channel},r=${attributes['r']}`
  const auth = `${clientFirstBare},${serverFirst},${withoutProof}`
  const signature = createHmac('sha256', createHash('sha256').update(clientKey).digest()).update(auth).digest()
  return `${withoutProof},p=${Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0))).toString('base64')}`
}

export const nonce = (): string => randomBytes(18).toString('base64')
