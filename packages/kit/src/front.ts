import type { Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { ByteChannel, ChannelError } from './channel.js'

/** Gateway side of a protocol: client listener, TLS, start-up and authentication wording. It holds no policy. */
export interface ProtocolFront {
  readonly protocol: string
  /** Clients recognise the gateway by host keys (SSH): {@link FrontContext.hostKeys} is filled, and their public halves are published. */
  readonly usesHostKeys?: true
  /**
   * Owns the socket until it closes. Never throws: whatever the client does ends in a native error or a closed socket.
   */
  handle(socket: Socket, context: FrontContext): void
}

export interface FrontContext {
  readonly broker: SessionBroker
  /** Undefined only with the explicit development flag on a loopback listener. */
  readonly tls: FrontTls | undefined
  readonly limits: FrontLimits
  /**
   * Private keys, OpenSSH PEM, stable over restarts: Ed25519 first, then ECDSA P-256. Empty unless the front says
   * `usesHostKeys`. Secret: they may not reach a log or the control plane.
   */
  readonly hostKeys: readonly string[]
  readonly log: FrontLog
  /** Called once per connection when it has authenticated: it no longer counts against the cap. */
  authenticated(): void
  /**
   * The client sent what can't be understood in one way only, before or beside what it is authenticated for. Recorded with its
   * address, not tied to an identity.
   * @param reason one short sentence of ours; nothing that the client sent
   */
  refused(reason: string): void
}

export interface FrontTls {
  readonly context: SecureContext
  /** RFC 5929 tls-server-end-point of the certificate. */
  readonly serverEndPoint: Buffer
}

export interface FrontLimits {
  /** From accept until the session is open. Milliseconds. */
  readonly handshakeMilliseconds: number
  readonly maxStartupBytes: number
}

export interface FrontLog {
  info(fields: Record<string, unknown>, message: string): void
  warn(fields: Record<string, unknown>, message: string): void
}

/** What a front asks of the gateway. The control plane decides; the gateway only relays. */
export interface SessionBroker {
  authenticate(start: SessionStart, signal: AbortSignal): AuthConversation
  /** Opens the granted session on its agent. Rejects with {@link SessionRefusedError}. */
  open(granted: SessionGranted, parameters: Readonly<Record<string, string>>, signal: AbortSignal): Promise<BrokeredSession>
  /** Sends the protocol's out-of-band signal to a session of this gateway (PostgreSQL: cancel). */
  registerCancel(key: string, session: BrokeredSession): () => void
  cancel(key: string, payload: Uint8Array): void
}

export interface SessionStart {
  readonly protocol: string
  readonly user: string
  readonly parameters: Readonly<Record<string, string>>
  readonly clientAddress: string
  readonly serverEndPoint: Uint8Array
  /** The client has proven a key already: {@link AuthConversation.publicKey} is called at once, and nothing is asked. */
  readonly proofFollows?: boolean
  /** The client's protocol knows nothing but a secret that is shown (HTTP): a JIT credential is asked for as a password, too. */
  readonly bearer?: boolean
}

/** What a client signed to prove that it holds a private key. The control plane verifies it, and takes it once. */
export interface PublicKeyProof {
  /** As signed: `ssh-ed25519`, `rsa-sha2-512`, …; for a certificate the certificate's key algorithm. */
  readonly algorithm: string
  /** Public key (RFC 4253, section 6.6) or certificate (PROTOCOL.certkeys) blob. */
  readonly key: Uint8Array
  /** Signature blob (RFC 4253, section 6.6). */
  readonly signature: Uint8Array
  /** What was signed (RFC 4252, section 7): session identifier, then the request. */
  readonly signedData: Uint8Array
}

export type AuthStep =
  | { readonly kind: 'password' }
  | { readonly kind: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'sasl_continue'; readonly data: Buffer }
  | { readonly kind: 'granted'; readonly granted: SessionGranted }
  | { readonly kind: 'refused'; readonly error: ChannelError }

export interface AuthConversation {
  /** The control plane's next step. Never rejects: a lost control plane is `refused` with UNAVAILABLE. */
  next(): Promise<AuthStep>
  password(value: Uint8Array): void
  /** The one answer to a start with `proofFollows`, sent without waiting for a step. */
  publicKey(proof: PublicKeyProof): void
  saslInitial(mechanism: string, response: Uint8Array): void
  saslResponse(response: Uint8Array): void
  abort(): void
}

export interface SessionGranted {
  readonly sessionId: string
  readonly agentId: string
  readonly grant: string
  readonly saslFinal: Buffer
  /** NumericDate: when the token or credential that was shown expires. The session may live longer. */
  readonly proofExpires: number
}

export interface BrokeredSession {
  readonly sessionId: string
  readonly channel: ByteChannel
  signal(payload: Uint8Array): void
}
