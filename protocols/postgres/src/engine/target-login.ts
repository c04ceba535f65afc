import { createHash } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'
import type { CredentialResolver, Secret } from '@sallyport/kit'
import { backend, decodeNotice, decodeParameterStatus, decodeReadyForQuery, FrameReader, message, MessageCursor, ProtocolError } from '../codec/index.js'
import type { PostgresTarget } from '../target-spec.js'
import { ScramClient, ScramError } from './scram-client.js'

/** From the first SYN to ReadyForQuery. */
const loginMilliseconds = 15_000
const maxLoginMessage = 64 * 1024

/** The target can't be reached or doesn't let the agent in. The message is safe for clients: no credential, no driver text. */
export class TargetError extends Error {
  override readonly name = 'TargetError'
  constructor(
    readonly code: 'TARGET_UNREACHABLE' | 'TARGET_REFUSED' | 'TARGET_TLS' | 'TARGET_PROTOCOL' | 'TARGET_CREDENTIAL',
    message: string,
    readonly hint: string,
    /** Of the target's refusal. */
    readonly sqlstate?: string,
  ) {
    super(message)
  }
}

export interface TargetLogin {
  readonly socket: net.Socket
  /** Holds whatever came behind ReadyForQuery (nothing, from an honest server). */
  readonly reader: FrameReader
  readonly parameters: ReadonlyMap<string, string>
  readonly processId: number
  readonly secretKey: Buffer
  readonly status: number
}

/**
 * Lets the target notice within this time that its agent is gone, so that a long statement doesn't go on without anybody
 * (client_connection_check_interval, from PostgreSQL 14 on, where the platform can).
 */
const connectionCheck = ['client_connection_check_interval', '2000'] as const
/** undefined_object, invalid_parameter_value: the server doesn't know the setting or can't do it. */
const notSupported = new Set(['42704', '22023'])

/** Connects and logs in with the target's credential; settings are sent as start-up parameters. */
export async function loginToTarget(
  target: PostgresTarget,
  credentials: CredentialResolver,
  settings: ReadonlyMap<string, string>,
  limitFor: (type: number) => number,
  signal: AbortSignal,
): Promise<TargetLogin> {
  try {
    return await login(target, credentials, new Map([...settings, connectionCheck]), limitFor, signal)
  } catch (error) {
    if (!(error instanceof TargetError) || error.sqlstate === undefined || !notSupported.has(error.sqlstate)) throw error
    return login(target, credentials, settings, limitFor, signal)
  }
}

async function login(
  target: PostgresTarget,
  credentials: CredentialResolver,
  settings: ReadonlyMap<string, string>,
  limitFor: (type: number) => number,
  signal: AbortSignal,
): Promise<TargetLogin> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(loginMilliseconds)])
  const socket = await connectToTarget(target, credentials, deadline)
  const onAbort = (): void => void socket.destroy()
  deadline.addEventListener('abort', onAbort, { once: true })
  try {
    return await new Login(socket, target, credentials, settings, limitFor).run()
  } catch (error) {
    socket.destroy()
    if (deadline.aborted) throw new TargetError('TARGET_UNREACHABLE', 'the target did not complete the login in time', 'Check the database from the agent host.')
    throw asTargetError(error)
  } finally {
    deadline.removeEventListener('abort', onAbort)
  }
}

/** TCP and, as the target's document says, TLS. Also used for cancel requests. */
export async function connectToTarget(target: PostgresTarget, credentials: CredentialResolver, signal: AbortSignal): Promise<net.Socket> {
  const address = target.host.startsWith('/') ? { path: `${target.host}/.s.PGSQL.${target.port}` } : { host: target.host, port: target.port }
  const socket = net.connect({ ...address, noDelay: true, keepAlive: true })
  const ready = once(socket, 'connect', signal)
  try {
    await ready
  } catch {
    socket.destroy()
    throw new TargetError('TARGET_UNREACHABLE', `the agent can't connect to ${target.host}:${target.port}`, 'Check that the database is up and reachable from the agent.')
  }
  if (target.tls.mode === 'disable') return socket
  return startTls(socket, target, credentials, signal)
}

async function startTls(socket: net.Socket, target: PostgresTarget, credentials: CredentialResolver, signal: AbortSignal): Promise<net.Socket> {
  const fail = (text: string): TargetError => {
    socket.destroy()
    return new TargetError('TARGET_TLS', text, 'See spec.tls of the Target document.')
  }
  const request = Buffer.alloc(8)
  request.writeInt32BE(8, 0)
  request.writeInt32BE(80877103, 4)
  socket.write(request)
  const answer = await firstByte(socket, signal)
  if (answer !== 0x53) throw fail('the target does not offer TLS')
  const ca = target.tls.ca === undefined ? undefined : await readCa(target.tls.ca, credentials)
  const verify = target.tls.mode === 'verify-full'
  const serverName = target.tls.serverName ?? target.host
  const secure = tls.connect({
    socket,
    ...(net.isIP(serverName) ? {} : { servername: serverName }),
    ...(ca === undefined ? {} : { ca }),
    rejectUnauthorized: verify,
    ...(verify ? { checkServerIdentity: (_host, certificate) => tls.checkServerIdentity(serverName, certificate) } : {}),
    minVersion: 'TLSv1.2',
  })
  try {
    await once(secure, 'secureConnect', signal)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed'
    throw fail(`TLS with the target failed (${code})`)
  }
  return secure
}

async function readCa(ca: string, credentials: CredentialResolver): Promise<string> {
  return ca.includes('-----BEGIN') ? ca : (await credentials.resolve(ca)).expose()
}

class Login {
  readonly #reader: FrameReader
  readonly #parameters = new Map<string, string>()
  #processId = 0
  #secretKey: Buffer = Buffer.alloc(0)
  #scram: ScramClient | undefined
  #verified = false
  #authenticated = false
  #complete = false

  constructor(
    readonly socket: net.Socket,
    readonly target: PostgresTarget,
    readonly credentials: CredentialResolver,
    readonly settings: ReadonlyMap<string, string>,
    limitFor: (type: number) => number,
  ) {
    this.#reader = new FrameReader((type) => (this.#complete ? limitFor(type) : Math.min(maxLoginMessage, limitFor(type))))
  }

  async run(): Promise<TargetLogin> {
    const pairs = ['user', this.target.user, 'database', this.target.database, 'client_encoding', 'UTF8', 'standard_conforming_strings', 'on']
    for (const [name, value] of this.settings) pairs.push(name, value)
    const body = Buffer.from(`${pairs.join('\0')}\0\0`, 'utf8')
    const head = Buffer.alloc(8)
    head.writeInt32BE(body.length + 8, 0)
    head.writeInt32BE(0x30000, 4)
    this.socket.write(Buffer.concat([head, body]))
    for await (const chunk of this.socket.iterator({ destroyOnReturn: false })) {
      this.#reader.push(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk))
      while (this.#reader.next()) {
        const status = await this.#message(this.#reader.type)
        if (status === undefined) continue
        this.#complete = true
        this.socket.pause()
        return {
          socket: this.socket,
          reader: this.#reader,
          parameters: this.#parameters,
          processId: this.#processId,
          secretKey: this.#secretKey,
          status,
        }
      }
    }
    throw new TargetError('TARGET_REFUSED', 'the target closed the connection during login', "See the target's own log.")
  }

  /** Returns the transaction status once the login is complete. */
  async #message(type: number): Promise<number | undefined> {
    const { buffer, start, end } = this.#reader
    switch (type) {
      case backend.authentication:
        await this.#authentication(new MessageCursor(buffer, start, end))
        return undefined
      case backend.parameterStatus: {
        this.#requireAuthenticated()
        const { name, value } = decodeParameterStatus(buffer, start, end)
        if (this.#parameters.size < 100) this.#parameters.set(name, value)
        return undefined
      }
      case backend.backendKeyData: {
        this.#requireAuthenticated()
        const cursor = new MessageCursor(buffer, start, end)
        this.#processId = cursor.int32()
        this.#secretKey = Buffer.from(cursor.bytes(cursor.remaining))
        return undefined
      }
      case backend.readyForQuery:
        this.#requireAuthenticated()
        return decodeReadyForQuery(buffer, start, end)
      case backend.errorResponse: {
        const fields = decodeNotice(buffer, start, end)
        const code = sqlstate(fields.get('C'))
        throw new TargetError('TARGET_REFUSED', `the target refused the agent's login (SQLSTATE ${code})`, 'Check user, password reference and pg_hba.conf of the target.', code)
      }
      case backend.noticeResponse:
      case backend.negotiateProtocolVersion:
        return undefined
      default:
        throw new ProtocolError('unexpected message during login')
    }
  }

  async #authentication(cursor: MessageCursor): Promise<void> {
    if (this.#authenticated) throw new ProtocolError('authentication request after login')
    const kind = cursor.int32()
    switch (kind) {
      case 0:
        // A server that skips the last SCRAM step hasn't proved that it knows the password.
        if (this.#scram && !this.#verified) throw new ScramError('the target could not prove that it knows the password')
        if (!this.#scram) this.#require(this.#usedPassword ? 'any' : 'trust')
        this.#authenticated = true
        return
      case 3: {
        this.#require('password')
        this.#usedPassword = true
        this.socket.write(message(0x70, cstring((await this.#password()).expose())))
        return
      }
      case 5: {
        this.#require('md5')
        this.#usedPassword = true
        const salt = Buffer.from(cursor.bytes(4))
        const inner = md5((await this.#password()).expose() + this.target.user)
        this.socket.write(message(0x70, cstring(`md5${md5(Buffer.concat([Buffer.from(inner), salt]))}`)))
        return
      }
      case 10: {
        this.#require('scram-sha-256')
        if (this.#scram) throw new ProtocolError('SASL was begun twice')
        const mechanisms: string[] = []
        for (let name = cursor.cstring(); name !== ''; name = cursor.cstring()) mechanisms.push(name)
        if (!mechanisms.includes('SCRAM-SHA-256')) throw new ScramError('the target offers no SCRAM-SHA-256')
        this.#scram = new ScramClient(await this.#password())
        const first = Buffer.from(this.#scram.first())
        const length = Buffer.alloc(4)
        length.writeInt32BE(first.length)
        this.socket.write(message(0x70, cstring('SCRAM-SHA-256'), length, first))
        return
      }
      case 11: {
        if (!this.#scram || this.#verified) throw new ProtocolError('unexpected SASL message')
        this.socket.write(message(0x70, Buffer.from(await this.#scram.final(cursor.bytes(cursor.remaining).toString('latin1')))))
        return
      }
      case 12:
        if (!this.#scram) throw new ProtocolError('unexpected SASL message')
        this.#scram.verify(cursor.bytes(cursor.remaining).toString('latin1'))
        this.#verified = true
        return
      default:
        throw new TargetError('TARGET_REFUSED', 'the target asks for an authentication method that the agent does not speak', 'Use scram-sha-256 in pg_hba.conf for the agent.')
    }
  }

  #usedPassword = false

  /** A hostile or downgraded server must not get a weaker proof than the Target document allows. */
  #require(method: string): void {
    if (method === 'any') return
    if (this.target.auth.some((allowed) => allowed === method)) return
    throw new TargetError('TARGET_REFUSED', `the target asks for ${method} authentication, which its document does not allow`, 'Use scram-sha-256, or name the method in spec.auth of the Target document.')
  }

  async #password(): Promise<Secret<string>> {
    const reference = this.target.password
    if (reference === undefined) throw new TargetError('TARGET_CREDENTIAL', 'the target asks for a password, and its document names none', 'Set spec.password to a reference.')
    return this.credentials.resolve(reference)
  }

  #requireAuthenticated(): void {
    if (!this.#authenticated) throw new ProtocolError('message before authentication')
  }
}

function asTargetError(error: unknown): TargetError {
  if (error instanceof TargetError) return error
  if (error instanceof ScramError) return new TargetError('TARGET_REFUSED', error.message, 'Check the password reference of the target, and that the server is the right one.')
  if (error instanceof ProtocolError) return new TargetError('TARGET_PROTOCOL', 'the target broke the PostgreSQL protocol during login', 'Check that the address is a PostgreSQL server.')
  if (error instanceof Error && error.name === 'CredentialError') return new TargetError('TARGET_CREDENTIAL', error.message, 'Check the credential reference and what the agent allows.')
  return new TargetError('TARGET_UNREACHABLE', 'the connection to the target broke during login', "See the target's own log.")
}

function once(socket: net.Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error): void => {
      signal.removeEventListener('abort', onAbort)
      socket.off('error', done)
      socket.off('close', onClose)
      if (error) reject(error)
      else resolve()
    }
    const onAbort = (): void => done(new Error('aborted'))
    const onClose = (): void => done(new Error('closed'))
    socket.once(event, () => done())
    socket.once('error', done)
    socket.once('close', onClose)
    // Errors after this point surface as 'close'; an unhandled 'error' event would end the process.
    socket.on('error', () => socket.destroy())
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}

function firstByte(socket: net.Socket, signal: AbortSignal): Promise<number> {
  return new Promise((resolve) => {
    const done = (value: number): void => {
      signal.removeEventListener('abort', onAbort)
      socket.off('readable', onReadable)
      socket.off('close', onAbort)
      resolve(value)
    }
    const onAbort = (): void => done(0)
    const onReadable = (): void => {
      const bytes: unknown = socket.read(1)
      // More than the one byte before TLS could have been injected (CVE-2021-23222).
      if (Buffer.isBuffer(bytes)) done(socket.readableLength === 0 ? (bytes[0] ?? 0) : 0)
    }
    socket.on('readable', onReadable)
    socket.once('close', onAbort)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

function md5(value: string | Buffer): string {
  return createHash('md5').update(value).digest('hex')
}

function cstring(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8')
}

function sqlstate(code: string | undefined): string {
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) ? code : 'unknown'
}
