import { randomBytes, randomInt } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { AuthConversation, BrokeredSession, ChannelError, FrontContext, ProtocolFront, SessionGranted } from '@sallyport/kit'
import {
  authenticationCleartext,
  authenticationOk,
  encodeAuthenticationSasl,
  encodeAuthenticationSaslContinue,
  encodeAuthenticationSaslFinal,
  encodeBackendKeyData,
  encodeError,
  encodeNegotiateProtocolVersion,
  frontend,
  FrameReader,
  maxAuthMessageBytes,
  MessageCursor,
  ProtocolError,
  readStartupPacket,
  targetSettings,
  type StartupPacket,
} from '../codec/index.js'
import { ClosedError, HandshakeInput } from './handshake-input.js'
import { pipe } from './pipe.js'

const tlsHandshakeByte = 0x16
const alpnProtocol = 'postgresql'

/** What the client is told when it is refused. */
class Refusal extends Error {
  constructor(
    readonly sqlstate: string,
    message: string,
    readonly hint?: string,
  ) {
    super(message)
  }
}

export const postgresFront: ProtocolFront = {
  protocol: 'postgres',
  handle(socket, context) {
    new Connection(socket, context).run()
  },
}

/**
 * One client connection up to the open session: TLS, start-up, authentication. Every step has to come in the order of
 * the protocol's "Start-up" and "SSL Session Encryption" sections; anything else ends the connection.
 */
class Connection {
  readonly #context: FrontContext
  readonly #raw: Socket
  readonly #abort = new AbortController()
  readonly #deadline: NodeJS.Timeout
  #input: HandshakeInput
  #opened = false

  constructor(socket: Socket, context: FrontContext) {
    this.#context = context
    this.#raw = socket
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.#abort.abort())
    this.#input = new HandshakeInput(socket)
    this.#deadline = setTimeout(() => {
      this.#input.socket.destroy()
      socket.destroy()
    }, context.limits.handshakeMilliseconds)
  }

  run(): void {
    this.#serve()
      .catch((error: unknown) => this.#refuse(error))
      .finally(() => clearTimeout(this.#deadline))
  }

  async #serve(): Promise<void> {
    const startup = await this.#startup()
    if (!startup) return
    const parameters = Object.fromEntries(startup.parameters)
    this.#negotiate(startup)
    const user = parameters['user']
    if (!user) throw new Refusal('28000', 'no PostgreSQL user name specified in startup packet', 'Give the target as user: user=<target>.')
    targetSettings(parameters)
    const conversation = this.#context.broker.authenticate(
      {
        protocol: 'postgres',
        user,
        parameters,
        clientAddress: this.#raw.remoteAddress ?? '',
        serverEndPoint: this.#input.socket instanceof TLSSocket && this.#context.tls ? this.#context.tls.serverEndPoint : new Uint8Array(),
      },
      this.#abort.signal,
    )
    try {
      const granted = await this.#authenticate(conversation)
      await this.#open(granted, parameters)
    } finally {
      conversation.abort()
    }
  }

  /** TLS negotiation and the one StartupMessage. Undefined when the connection was a cancel request. */
  async #startup(): Promise<Extract<StartupPacket, { kind: 'startup' }> | undefined> {
    let sslAsked = false
    let gssAsked = false
    if ((await this.#input.peek()) === tlsHandshakeByte) {
      await this.#startTls(true)
      sslAsked = true
      gssAsked = true
    }
    for (;;) {
      const packet = await this.#input.take(readStartupPacket)
      switch (packet.kind) {
        case 'ssl':
          if (sslAsked) throw new ProtocolError('SSLRequest was already sent')
          sslAsked = true
          // Whatever came in plaintext behind the request could have been injected (CVE-2021-23222).
          if (this.#input.buffered > 0) throw new ProtocolError('received unencrypted data after SSL request')
          if (!this.#context.tls) {
            this.#input.socket.write('N')
            break
          }
          this.#input.socket.write('S')
          await this.#startTls(false)
          gssAsked = true
          break
        case 'gss':
          if (gssAsked) throw new ProtocolError('GSSENCRequest was already sent')
          gssAsked = true
          if (this.#input.buffered > 0) throw new ProtocolError('received unencrypted data after GSSAPI encryption request')
          this.#input.socket.write('N')
          break
        case 'cancel':
          this.#context.broker.cancel(cancelKey(packet.pid, packet.secret), new Uint8Array())
          this.#input.socket.end()
          return undefined
        case 'startup':
          if (this.#context.tls && !(this.#input.socket instanceof TLSSocket)) {
            throw new Refusal('28000', 'this gateway takes TLS connections only', 'Set PGSSLMODE=verify-full and PGSSLROOTCERT to the gateway CA.')
          }
          return packet
      }
    }
  }

  async #startTls(direct: boolean): Promise<void> {
    const tls = this.#context.tls
    if (!tls) throw new ClosedError()
    const begun = this.#input.rest()
    const plain = this.#input.release()
    // Direct TLS: the beginning of the ClientHello has been read already.
    if (begun.length > 0) plain.unshift(begun)
    const secure = new TLSSocket(plain, {
      isServer: true,
      secureContext: tls.context,
      ALPNProtocols: [alpnProtocol],
    })
    secure.on('error', () => secure.destroy())
    // Before its session is open, a client that has sent all it will send has nothing to wait for.
    secure.once('end', () => {
      if (!this.#opened) secure.destroy()
    })
    secure.once('close', () => {
      this.#abort.abort()
      plain.destroy()
    })
    this.#input = new HandshakeInput(secure)
    await new Promise<void>((resolve, reject) => {
      secure.once('secure', resolve)
      secure.once('close', () => reject(new ClosedError()))
    })
    // Direct TLS without ALPN could be a cross-protocol attack (ALPACA): PostgreSQL refuses it as well.
    if (direct && secure.alpnProtocol !== alpnProtocol) {
      secure.destroy()
      throw new ClosedError()
    }
  }

  #negotiate(startup: Extract<StartupPacket, { kind: 'startup' }>): void {
    const unknown = [...startup.parameters.keys()].filter((name) => name.startsWith('_pq_.'))
    if (startup.minor > 0 || unknown.length > 0) this.#input.socket.write(encodeNegotiateProtocolVersion(unknown))
  }

  async #authenticate(conversation: AuthConversation): Promise<SessionGranted> {
    for (;;) {
      const step = await conversation.next()
      const socket = this.#input.socket
      switch (step.kind) {
        case 'password':
          if (!(socket instanceof TLSSocket) && this.#context.tls) throw new Refusal('28000', 'a token is taken over TLS only')
          socket.write(authenticationCleartext)
          conversation.password(await this.#passwordMessage())
          break
        case 'sasl': {
          socket.write(encodeAuthenticationSasl(step.mechanisms))
          const initial = saslInitial(await this.#authMessage())
          if (!step.mechanisms.includes(initial.mechanism)) throw new Refusal('28000', 'client selected an invalid SASL authentication mechanism')
          conversation.saslInitial(initial.mechanism, initial.response)
          break
        }
        case 'sasl_continue': {
          socket.write(encodeAuthenticationSaslContinue(step.data))
          const cursor = await this.#authMessage()
          conversation.saslResponse(cursor.bytes(cursor.remaining))
          break
        }
        case 'granted':
          return step.granted
        case 'refused':
          throw new Refusal(sqlstateOf(step.error.code), step.error.message, step.error.hint)
      }
    }
  }

  async #open(granted: SessionGranted, parameters: Readonly<Record<string, string>>): Promise<void> {
    // A client that is gone must not leave a session at the target.
    this.#abort.signal.throwIfAborted()
    let session: BrokeredSession
    try {
      session = await this.#context.broker.open(granted, parameters, this.#abort.signal)
    } catch (error) {
      if (isChannelError(error)) throw new Refusal(sqlstateOf(error.code), error.message, error.hint)
      throw error
    }
    const socket = this.#input.socket
    const pid = randomInt(1, 0x7fffffff)
    const secret = randomBytes(4)
    const unregister = this.#context.broker.registerCancel(cancelKey(pid, secret), session)
    socket.once('close', unregister)
    if (granted.saslFinal.length > 0) socket.write(encodeAuthenticationSaslFinal(granted.saslFinal))
    socket.write(authenticationOk)
    socket.write(encodeBackendKeyData(pid, secret))
    clearTimeout(this.#deadline)
    this.#opened = true
    this.#context.authenticated()
    const rest = this.#input.rest()
    this.#input.release()
    pipe(socket, session.channel, rest, (error) => encodeError({ severity: 'FATAL', sqlstate: sqlstateOf(error.code), message: error.message, hint: error.hint }))
  }

  async #authMessage(): Promise<MessageCursor> {
    const reader = new FrameReader((type) => (type === frontend.password ? maxAuthMessageBytes : 0))
    return this.#input.takeFrame(reader)
  }

  async #passwordMessage(): Promise<Buffer> {
    const cursor = await this.#authMessage()
    const bytes = cursor.bytes(cursor.remaining)
    if (bytes.length < 1 || bytes[bytes.length - 1] !== 0 || bytes.indexOf(0) !== bytes.length - 1) throw new ProtocolError('invalid password packet')
    return bytes.subarray(0, -1)
  }

  #refuse(error: unknown): void {
    const socket = this.#input.socket
    if (error instanceof ClosedError || this.#abort.signal.aborted || socket.destroyed) {
      socket.destroy()
      return
    }
    if (error instanceof Refusal) {
      socket.end(encodeError({ severity: 'FATAL', sqlstate: error.sqlstate, message: error.message, ...(error.hint ? { hint: error.hint } : {}) }))
    } else if (error instanceof ProtocolError) {
      socket.end(encodeError({ severity: 'FATAL', sqlstate: error.sqlstate, message: error.message }))
    } else {
      this.#context.log.warn({ error_name: error instanceof Error ? error.name : 'unknown' }, 'client connection failed')
      socket.end(encodeError({ severity: 'FATAL', sqlstate: 'XX000', message: 'internal error in the gateway' }))
    }
    // A client that doesn't read its refusal is not waited for.
    setTimeout(() => socket.destroy(), 2000).unref()
  }
}

function isChannelError(error: unknown): error is Error & ChannelError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'hint' in error && typeof error.hint === 'string'
}

function saslInitial(cursor: MessageCursor): { mechanism: string; response: Buffer } {
  const mechanism = cursor.cstring()
  const length = cursor.int32()
  if (length < 0) throw new ProtocolError('malformed SCRAM message')
  const response = cursor.bytes(length)
  cursor.done()
  return { mechanism, response }
}

function cancelKey(pid: number, secret: Uint8Array): string {
  return `${pid}:${Buffer.from(secret).toString('hex')}`
}

/** SQLSTATE for the stable codes of gateway and control plane (docs/postgres.md lists them). */
export function sqlstateOf(code: string): string {
  switch (code) {
    case 'AUTHENTICATION_FAILED':
    case 'CREDENTIAL_EXPIRED':
    case 'CREDENTIAL_REVOKED':
      return '28P01'
    case 'POLICY_DENIED':
    case 'EXCHANGE_REQUIRED':
    case 'LOCKED':
      return '28000'
    case 'TARGET_UNKNOWN':
    case 'DATABASE_REFUSED':
      return '3D000'
    case 'TOO_MANY_SESSIONS':
    case 'RATE_LIMITED':
      return '53300'
    case 'SESSION_KILLED':
    case 'LEASE_EXPIRED':
    case 'GATEWAY_STOPPING':
    case 'AGENT_STOPPING':
      return '57P01'
    case 'NO_AGENT':
    case 'UNAVAILABLE':
    case 'TARGET_UNREACHABLE':
      return '57P03'
    default:
      return '08006'
  }
}
