import type { ServerDuplexStream } from '@grpc/grpc-js'
import { Injectable, Logger } from '@nestjs/common'
import type { OpenSessionReply, OpenSessionRequestReceived, SessionStartReceived } from '@sallyport/proto'
import { splitUserName, SshKeyError, type SshUserName } from '@sallyport/ssh-keys'
import { CredentialError } from '../credentials/credentials.errors.js'
import { CredentialLogin, renewHint } from '../credentials/credential-login.js'
import { isCredentialUsername } from '../credentials/credentials.service.js'
import { PublicKeyLogin } from '../credentials/public-key-login.js'
import { ScramError } from '../credentials/scram/messages.js'
import { scramMechanisms } from '../credentials/scram/scram-server.js'
import { EventsService } from '../audit/events.service.js'
import { AuthFailures } from '../identity/auth-failures.js'
import { IdentityError } from '../identity/identity.errors.js'
import { IdentityService } from '../identity/identity.service.js'
import { protocolOf } from '../protocols.js'
import { SessionOpener, type OpenedSession, type OpenRequest } from '../sessions/session-opener.js'
import { SessionRefusal } from '../sessions/session-refusal.js'
import { Inbox } from './inbox.js'

export const openSessionLimits = { deadlineMilliseconds: 30_000, atOnce: 512, atOncePerGateway: 256 } as const
/** A target's name, and a login before it. */
const maxUserLength = 320
const maxPasswordBytes = 16 * 1024

export type OpenSessionCall = ServerDuplexStream<OpenSessionRequestReceived, OpenSessionReply>

type Method = 'public_key' | 'credential' | 'oidc_token'

interface Proof {
  readonly request: Pick<OpenRequest, 'identity' | 'method' | 'target' | 'credential'>
  readonly saslFinal: Buffer
  /** Of the token or credential. */
  readonly expiresAt: Date
  /** As proven; undefined when the method proves none. */
  readonly login?: string | undefined
}

/** One conversation per client connection: authentication, then the grant. The gateway relays; everything is checked here. */
@Injectable()
export class OpenSessionService {
  readonly #log = new Logger(OpenSessionService.name)
  readonly #perGateway = new Map<string, number>()
  #active = 0

  constructor(
    private readonly identities: IdentityService,
    private readonly logins: CredentialLogin,
    private readonly keyLogins: PublicKeyLogin,
    private readonly opener: SessionOpener,
    private readonly failures: AuthFailures,
    private readonly events: EventsService,
  ) {}

  /** Never rejects: the stream ends with granted or refused, or because the peer left. */
  async serve(call: OpenSessionCall, gatewayId: string): Promise<void> {
    const ofGateway = this.#perGateway.get(gatewayId) ?? 0
    if (this.#active >= openSessionLimits.atOnce || ofGateway >= openSessionLimits.atOncePerGateway) {
      call.end(refused(new SessionRefusal('UNAVAILABLE', 'too many clients are authenticating at this moment', 'Try again in a moment.')))
      return
    }
    this.#active += 1
    this.#perGateway.set(gatewayId, ofGateway + 1)
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), openSessionLimits.deadlineMilliseconds)
    call.once('cancelled', () => deadline.abort())
    try {
      await this.#converse(call, new Inbox(call, deadline.signal), gatewayId)
    } catch (error) {
      this.#log.error({ message: 'a session could not be opened', error: error instanceof Error ? error : String(error) })
      if (!call.cancelled) call.write(refused(new SessionRefusal('UNAVAILABLE', 'the control plane can not open sessions now', 'Try again; tell your platform team if it lasts.')))
    } finally {
      clearTimeout(timer)
      deadline.abort()
      this.#active -= 1
      this.#perGateway.set(gatewayId, (this.#perGateway.get(gatewayId) ?? 1) - 1)
      call.end()
    }
  }

  get active(): number {
    return this.#active
  }

  async #converse(call: OpenSessionCall, inbox: Inbox<OpenSessionRequestReceived>, gatewayId: string): Promise<void> {
    const start = (await inbox.next())?.start
    if (!start || start.user === '' || start.user.length > maxUserLength) {
      call.write(refused(violation))
      return
    }
    const named = nameOf(start)
    if (!named) {
      call.write(refused(violation))
      return
    }
    const method = start.proofFollows ? 'public_key' : isCredentialUsername(start.user) ? 'credential' : 'oidc_token'
    let proof: Proof | undefined
    try {
      proof = await this.#proofBy(method, call, inbox, start, named)
    } catch (error) {
      const refusal = authenticationRefusal(error)
      if (!refusal) throw error
      const about = method === 'credential' ? { user: start.user } : { target: named.target }
      await this.failures.record({ method, ...about, client_address: start.clientAddress.slice(0, 200), code: refusal.code, reason: refusal.recorded })
      call.write(refused(refusal.shown))
      return
    }
    if (proof) await this.#open(call, { ...start, parameters: parametersOf(start, proof.login ?? named.login) }, gatewayId, proof)
  }

  async #open(call: OpenSessionCall, start: SessionStartReceived, gatewayId: string, proof: Proof): Promise<void> {
    const { protocol, user, parameters, clientAddress } = start
    let opened: OpenedSession
    try {
      const asked = parameters['target']
      // Where the client names the target beside its credential (HTTP: in the path), it must be the credential's.
      if (asked !== undefined && asked !== proof.request.target) throw otherTarget(proof.request.target)
      opened = await this.opener.open({ ...proof.request, protocol, user, parameters, clientAddress, gatewayId })
    } catch (error) {
      if (!(error instanceof SessionRefusal)) throw error
      const { kind, name, groups } = proof.request.identity
      await this.events.append({
        kind: 'session.refused',
        identity: { kind, name, groups },
        target: proof.request.target.slice(0, maxUserLength),
        client_address: clientAddress.slice(0, 200),
        code: error.code,
        reason: error.message,
      })
      call.write(refused(error))
      return
    }
    call.write({ granted: { sessionId: opened.sessionId, agentId: opened.agentId, grant: opened.grant, saslFinal: proof.saslFinal, proofExpires: Math.floor(proof.expiresAt.getTime() / 1000) } })
  }

  #proofBy(method: Method, call: OpenSessionCall, inbox: Inbox<OpenSessionRequestReceived>, start: SessionStartReceived, named: SshUserName): Promise<Proof | undefined> {
    switch (method) {
      case 'public_key':
        return this.#byPublicKey(inbox, start, named)
      case 'credential':
        return start.bearer ? this.#byBearer(call, inbox, start) : this.#bySasl(call, inbox, start)
      case 'oidc_token':
        return this.#byToken(call, inbox, named.target)
    }
  }

  /** The client has signed already: nothing is asked, and nothing but the proof is taken. */
  async #byPublicKey(inbox: Inbox<OpenSessionRequestReceived>, start: SessionStartReceived, named: SshUserName): Promise<Proof | undefined> {
    const answer = await inbox.next()
    if (!answer) return undefined
    if (!answer.publicKey) throw violation
    const { identity, method, target, login, id, take, expiresAt } = await this.keyLogins.prove(answer.publicKey, { ...named, clientAddress: start.clientAddress })
    return { request: { identity, method, target, credential: { id, take } }, saslFinal: Buffer.alloc(0), expiresAt, login }
  }

  /**
   * A token as the password may be used again until it expires: a job runs psql many times. Its `jti` is consumed only by
   * an exchange for a single-use credential.
   */
  async #byToken(call: OpenSessionCall, inbox: Inbox<OpenSessionRequestReceived>, target: string): Promise<Proof | undefined> {
    const password = await askPassword(call, inbox)
    if (password === undefined) return undefined
    const { identity, expiresAt } = await this.identities.ofToken(password.trim())
    return { request: { identity, method: 'oidc_token', target }, saslFinal: Buffer.alloc(0), expiresAt }
  }

  /** A credential's own secret, from a client whose protocol can only show it (HTTP). */
  async #byBearer(call: OpenSessionCall, inbox: Inbox<OpenSessionRequestReceived>, start: SessionStartReceived): Promise<Proof | undefined> {
    const secret = await askPassword(call, inbox)
    if (secret === undefined) return undefined
    const { identity, target, id, take, expiresAt } = await this.logins.show(start.user, secret)
    return { request: { identity, method: 'credential', target, credential: { id, take } }, saslFinal: Buffer.alloc(0), expiresAt }
  }

  async #bySasl(call: OpenSessionCall, inbox: Inbox<OpenSessionRequestReceived>, start: SessionStartReceived): Promise<Proof | undefined> {
    call.write({ askSasl: { mechanisms: scramMechanisms(start.serverEndPoint) } })
    const initial = await inbox.next()
    if (!initial) return undefined
    if (!initial.saslInitial) throw violation
    const conversation = this.logins.begin(start.user, initial.saslInitial.mechanism, start.serverEndPoint)
    call.write({ saslContinue: await conversation.first(initial.saslInitial.response) })
    const response = await inbox.next()
    if (!response) return undefined
    if (!response.saslResponse) throw violation
    const proven = conversation.final(response.saslResponse)
    const credential = { id: proven.id, take: proven.take }
    return { request: { identity: proven.identity, method: 'credential', target: proven.target, credential }, saslFinal: proven.serverFinal, expiresAt: proven.expiresAt }
  }
}

/** Undefined when the client has left. */
async function askPassword(call: OpenSessionCall, inbox: Inbox<OpenSessionRequestReceived>): Promise<string | undefined> {
  call.write({ askPassword: {} })
  const answer = await inbox.next()
  if (!answer) return undefined
  if (!answer.password || answer.password.length > maxPasswordBytes) throw violation
  return answer.password.toString('utf8')
}

/** The target, and the login on it, where the protocol has such a thing. Undefined when start says two things at once. */
function nameOf(start: SessionStartReceived): SshUserName | undefined {
  if (!protocolOf(start.protocol)?.resolveSession) return { target: start.user, login: undefined }
  const inParameters = start.parameters['login']
  const { target, login = inParameters } = splitUserName(start.user)
  return inParameters !== undefined && inParameters !== login ? undefined : { target, login }
}

/** The login first: a list that is cut at its bound must not lose it. */
function parametersOf(start: SessionStartReceived, login: string | undefined): Record<string, string> {
  return login === undefined ? start.parameters : { login, ...start.parameters }
}

const violation = new SessionRefusal('PROTOCOL_VIOLATION', 'the authentication exchange was not followed', 'Use a client that speaks the protocol.')

const otherTarget = (target: string): SessionRefusal => new SessionRefusal('TARGET_UNKNOWN', `the credential is for the target ${target} and no other`, 'Exchange a token for a credential for this target.')

/** What the client sees, and what is recorded. SCRAM failures look all alike to the client. */
function authenticationRefusal(error: unknown): { code: string; shown: SessionRefusal; recorded: string } | undefined {
  if (error instanceof SessionRefusal) return { code: error.code, shown: error, recorded: error.message }
  if (error instanceof ScramError) {
    const shown = new SessionRefusal('AUTHENTICATION_FAILED', 'authentication failed: the credential is unknown, or its secret is wrong', 'Exchange a token for a new credential; `sallyport exec` does it by itself.')
    return { code: 'SCRAM_FAILED', shown, recorded: error.message }
  }
  if (error instanceof SshKeyError) {
    const shown = new SessionRefusal('AUTHENTICATION_FAILED', `public key authentication failed: ${error.message}`, renewHint)
    return { code: error.code, shown, recorded: error.message }
  }
  if (error instanceof IdentityError || error instanceof CredentialError) {
    return { code: error.code, shown: new SessionRefusal('AUTHENTICATION_FAILED', error.message, error.hint), recorded: error.message }
  }
  return undefined
}

function refused(refusal: SessionRefusal): OpenSessionReply {
  return { refused: { code: refusal.code, message: refusal.message, hint: refusal.hint } }
}
