import type { EngineSession, Permit, ProtocolEngine, SessionEnd } from '@sallyport/kit'
import { loadShell } from '@sallyport/shell'
import type { Client } from 'ssh2'
import { forwardEffect, reverseForwardEffect } from '../analyse/effects.js'
import { sshTargetSchema } from '../target-spec.js'
import type { ChannelOpen, ChannelRequest, RequestOf } from '../wire/messages.js'
import { Wire, type WireChannel } from '../wire/wire.js'
import { endForward, forwardOut, joinForward } from './forward.js'
import { SessionChannel } from './session-channel.js'
import { deniedForward } from './texts.js'
import { connectUpstream, UpstreamError } from './upstream.js'

/** What may be listening at the target for one session. */
const maxListeners = 16

/** The SSH engine. Loads the shell's grammar once. */
export async function createSshEngine(): Promise<ProtocolEngine> {
  await loadShell()
  return { protocol: 'ssh', serve: (session) => new SshSession(session).serve() }
}

interface Listener {
  readonly host: string
  readonly port: number
  readonly permit: Permit
}

/** One session: the client's channels on one side, one connection to the target on the other. */
class SshSession {
  readonly #session: EngineSession
  readonly #wire: Wire
  readonly #channels = new Set<SessionChannel>()
  readonly #listeners = new Map<string, Listener>()
  /** For the next session channel. */
  readonly #untold: string[] = []
  /** Channels that came while the target was being dialled. */
  #waiting: (() => void)[] | undefined = []
  #upstream: Client | undefined
  #login = ''
  #lastActivity = performance.now()
  #ended = false
  #finish: (end: SessionEnd) => void = () => undefined
  readonly #over: Promise<SessionEnd>

  constructor(session: EngineSession) {
    this.#session = session
    this.#over = new Promise((resolve) => {
      this.#finish = resolve
    })
    this.#wire = new Wire(session.client, 'engine', {
      onOpen: (channel, open) => this.#whenReady(() => this.#open(channel, open)),
      onRequest: (request) => this.#request(request),
      onClose: (error) => this.#finish(error ? { reason: 'connection_lost', detail: error.code } : { reason: 'client_closed' }),
      onBroken: (error) => this.#finish({ reason: 'protocol_error', detail: error.name }),
      onActivity: () => {
        this.#lastActivity = performance.now()
      },
    })
  }

  async serve(): Promise<SessionEnd> {
    const { signal } = this.#session
    const closing = new AbortController()
    const onAbort = (): void => this.#finish(endOf(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    void this.#over.then(() => closing.abort())
    this.#wire.start()
    const idle = this.#watchIdle()
    let end: SessionEnd
    try {
      await this.#connect(closing.signal)
      if (signal.aborted) onAbort()
      end = await this.#over
    } catch (error) {
      end = this.#connectFailed(error, closing.signal)
      if (closing.signal.aborted) end = await this.#over
    }
    clearInterval(idle)
    signal.removeEventListener('abort', onAbort)
    this.#shutDown(end)
    return end
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const { grant, credentials } = this.#session
    const { target, identity, sid } = grant.payload
    const spec = sshTargetSchema.parse(target.spec)
    this.#login = spec.login ?? spec.logins[0] ?? ''
    const upstream = await connectUpstream(spec, credentials, { session: sid, identity: identity.name }, signal)
    if (signal.aborted) {
      upstream.end()
      return
    }
    this.#upstream = upstream
    upstream.on('error', () => this.#finish({ reason: 'target_closed', message: 'the connection to the target failed', hint: 'Connect again.' }))
    upstream.on('close', () => this.#finish({ reason: 'target_closed', message: 'the target closed the connection', hint: 'Connect again.' }))
    upstream.on('tcp connection', (info, accept, reject) => this.#incoming(info, accept, reject))
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const run of waiting) run()
  }

  #whenReady(run: () => void): void {
    if (this.#waiting === undefined) run()
    else this.#waiting.push(run)
  }

  #open(channel: WireChannel, open: ChannelOpen): void {
    const upstream = this.#upstream
    if (upstream === undefined || this.#ended) return channel.refuse('the session has ended')
    if (open.kind === 'direct-tcpip') {
      this.#forward(channel, open, upstream).catch((error: unknown) => this.#fatal(error))
      return
    }
    if (open.kind !== 'session') return channel.refuse('unknown kind of channel')
    const handler = new SessionChannel(channel, { upstream, guard: this.#session.guard, login: this.#login, target: this.#session.grant.payload.target.name, fatal: (error) => this.#fatal(error) })
    this.#channels.add(handler)
    const untold = this.#untold.splice(0)
    channel.accept({
      onData: (bytes) => handler.onData(bytes),
      onEof: () => handler.onEof(),
      onRequest: (request, reply) => handler.onRequest(request, reply),
      onClose: () => {
        this.#channels.delete(handler)
        handler.onClose()
      },
    })
    for (const text of untold) channel.write(Buffer.from(text), true)
  }

  /** A denied -R has no text of its own in SSH (RFC 4254 section 7.1): it stands on stderr of a session's channel, now or later. */
  #tell(text: string): void {
    const [channel] = this.#channels
    if (channel) channel.tell(text)
    else if (this.#untold.length < maxListeners) this.#untold.push(text)
  }

  /** ssh -L, -D, -W: each connection is a command of its own. */
  async #forward(channel: WireChannel, open: Extract<ChannelOpen, { kind: 'direct-tcpip' }>, upstream: Client): Promise<void> {
    const { host, port, originHost, originPort } = open
    const effect = forwardEffect(host, port, this.#login)
    const decided = await this.#session.guard.submit({ text: `forward ${effect.resource}`, effects: [effect], facts: { login: this.#login } })
    if (decided.kind === 'denial') return channel.refuse(deniedForward(decided))
    decided.consume()
    const stream = this.#ended ? undefined : await forwardOut(upstream, { host: originHost, port: originPort }, { host, port })
    if (stream === undefined) {
      void this.#session.guard.finish(decided, { status: 'error', rows: 0, bytes: 0, masked: 0, error_code: 'TARGET_REFUSED' })
      return channel.refuse('the target could not open the connection')
    }
    channel.accept({ ...joinForward(stream, channel, (bytes) => endForward(this.#session.guard, decided, bytes)), onRequest: (_request, reply) => reply(false) })
  }

  #request(request: ChannelRequest): Promise<boolean> {
    if (request.type === 'refused') {
      this.#whenReady(() => this.#recordRefused(request))
      return Promise.resolve(true)
    }
    if (request.type !== 'tcpip-forward' && request.type !== 'cancel-tcpip-forward') return Promise.resolve(false)
    return new Promise((resolve) => {
      this.#whenReady(() => {
        const done = request.type === 'tcpip-forward' ? this.#listen(request) : this.#unlisten(request)
        done.then(resolve, (error: unknown) => {
          resolve(false)
          this.#fatal(error)
        })
      })
    })
  }

  #recordRefused({ action, text, reason }: RequestOf<'refused'>): void {
    if (this.#ended) return
    const effect = { action, resource: '', details: { login: this.#login } }
    try {
      this.#session.guard.refuse({ text, effects: [effect] }, { rule: 'unsupported', message: reason, hint: 'Do without it.' })
    } catch (error) {
      this.#fatal(error)
    }
  }

  /** ssh -R. */
  async #listen({ host, port }: RequestOf<'tcpip-forward'>): Promise<boolean> {
    const upstream = this.#upstream
    if (upstream === undefined || this.#listeners.size >= maxListeners) return false
    const effect = reverseForwardEffect(host, port, this.#login)
    const decided = await this.#session.guard.submit({ text: `reverse_forward ${effect.resource}`, effects: [effect], facts: { login: this.#login } })
    if (decided.kind === 'denial') {
      this.#tell(`${deniedForward(decided)}\r\n`)
      return false
    }
    decided.consume()
    const bound = await new Promise<number | undefined>((resolve) => {
      try {
        upstream.forwardIn(host, port, (error, chosen) => resolve(error === undefined ? (port === 0 ? chosen : port) : undefined))
      } catch {
        resolve(undefined)
      }
    })
    if (bound === undefined) {
      void this.#session.guard.finish(decided, { status: 'error', rows: 0, bytes: 0, masked: 0, error_code: 'TARGET_REFUSED' })
      return false
    }
    this.#listeners.set(`${host}:${bound}`, { host, port: bound, permit: decided })
    if (port === 0) this.#wire.notify({ type: 'forward-bound', host, requested: 0, port: bound })
    return true
  }

  #unlisten({ host, port }: RequestOf<'cancel-tcpip-forward'>): Promise<boolean> {
    const listener = this.#listeners.get(`${host}:${port}`)
    const upstream = this.#upstream
    if (listener === undefined || upstream === undefined) return Promise.resolve(false)
    this.#listeners.delete(`${host}:${port}`)
    endForward(this.#session.guard, listener.permit, 0)
    return new Promise((resolve) => {
      upstream.unforwardIn(host, port, () => resolve(true))
    })
  }

  /** Somebody connected to a port that the target listens on for this session. */
  #incoming(info: { destIP: string; destPort: number; srcIP: string; srcPort: number }, accept: () => import('ssh2').ClientChannel, reject: () => void): void {
    const listener = this.#listeners.get(`${info.destIP}:${info.destPort}`)
    // What sshd calls the address may differ in words from what was asked for (localhost, an empty one).
    const known = listener ?? [...this.#listeners.values()].find(({ port }) => port === info.destPort)
    if (known === undefined || this.#ended) return reject()
    let joined: ReturnType<typeof joinForward> | undefined
    const channel = this.#wire.open(
      { kind: 'forwarded-tcpip', host: known.host, port: known.port, originHost: info.srcIP, originPort: info.srcPort },
      { onData: (bytes) => joined?.onData(bytes), onEof: () => joined?.onEof(), onClose: () => joined?.onClose(), onRequest: (_request, reply) => reply(false) },
    )
    if (channel === undefined) return reject()
    void channel.confirmed.then((refused) => {
      if (refused !== undefined || this.#ended) {
        reject()
        return
      }
      joined = joinForward(accept(), channel, () => undefined)
    })
  }

  #fatal(error: unknown): void {
    const spool = error instanceof Error && error.name === 'SpoolError'
    if (!spool) this.#session.log.warn({ error_name: error instanceof Error ? error.name : 'unknown', error_stack: stackWithoutMessage(error) }, 'session failed')
    this.#finish(
      spool
        ? { reason: 'audit_unavailable', message: 'nothing goes on unrecorded, and the audit record could not be written', hint: 'Try again later.' }
        : { reason: 'internal_error', message: 'internal error in the agent; the session was ended', hint: 'Tell your platform team.' },
    )
  }

  #connectFailed(error: unknown, signal: AbortSignal): SessionEnd {
    if (error instanceof UpstreamError && !signal.aborted) return { reason: 'target_unavailable', detail: error.code, message: error.message, hint: error.hint }
    if (!signal.aborted) this.#fatal(error)
    return { reason: 'internal_error', message: 'the session could not be opened', hint: 'Tell your platform team.' }
  }

  #shutDown(end: SessionEnd): void {
    this.#ended = true
    const { guard, client } = this.#session
    try {
      for (const channel of this.#channels) channel.end()
      for (const listener of this.#listeners.values()) endForward(guard, listener.permit, 0)
    } catch {
      // The spool refuses: recovery writes these ends when the agent starts again.
      this.#session.log.warn({}, 'ends of commands could not be recorded')
    }
    client.close(end.message === undefined ? undefined : { code: codeOf(end.reason), message: end.message, hint: end.hint ?? '' })
    const upstream = this.#upstream
    if (upstream === undefined) return
    upstream.removeAllListeners('close')
    upstream.end()
    setTimeout(() => upstream.destroy(), 1000).unref()
  }

  #watchIdle(): NodeJS.Timeout {
    const idleMilliseconds = this.#session.grant.payload.terms.idle_seconds * 1000
    const check = (): void => {
      if (performance.now() - this.#lastActivity < idleMilliseconds) return
      this.#finish({ reason: 'idle', message: 'the session was idle for too long', hint: 'Connect again.' })
    }
    return setInterval(check, Math.max(250, Math.min(idleMilliseconds / 10, 15_000))).unref()
  }
}

function codeOf(reason: string): string {
  switch (reason) {
    case 'target_unavailable':
    case 'target_closed':
      return 'TARGET_UNREACHABLE'
    case 'killed':
      return 'SESSION_KILLED'
    case 'lease_expired':
    case 'ttl_expired':
      return 'LEASE_EXPIRED'
    default:
      return 'SESSION_ENDED'
  }
}

function endOf(signal: AbortSignal): SessionEnd {
  const reason: unknown = signal.reason
  return isSessionEnd(reason) ? reason : { reason: 'agent_stopped', message: 'the session was ended' }
}

function isSessionEnd(value: unknown): value is SessionEnd {
  return typeof value === 'object' && value !== null && 'reason' in value && typeof value.reason === 'string'
}

/** Where it happened, without the message, which may quote data. */
function stackWithoutMessage(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const at = stack.indexOf('\n    at ')
  return at < 0 ? '' : stack.slice(at).slice(0, 2000)
}
