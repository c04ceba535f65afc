import http2, { constants, type ServerHttp2Session } from 'node:http2'
import { ChannelStream, type EngineSession, type ProtocolEngine, type SessionEnd } from '@sallyport/kit'
import { loadShell } from '@sallyport/shell'
import { kubernetesTargetSchema } from '../analyse/index.js'
import { innerSettings, innerWindowBytes } from '../wire/headers.js'
import { statusObject } from '../wire/status.js'
import { UpstreamError, type ApiServer } from './api-server.js'
import { BodyBudget, Inbound } from './inbound.js'
import { RequestHandler } from './request-handler.js'
import { RunningRequests } from './running.js'
import { openApiServer } from './upstream.js'

/** The Kubernetes engine. Loads the shell's grammar once: what `kubectl exec` runs is analysed like an SSH command. */
export async function createKubernetesEngine(): Promise<ProtocolEngine> {
  await loadShell()
  return { protocol: 'kubernetes', serve: (session) => new KubernetesSession(session).serve() }
}

/** How often what runs is asked whether it still may. */
const recheckMilliseconds = 250
/** Less than the gateway waits for an agent that ends a session. */
const lastWordsMilliseconds = 300

/** One session: the client's requests on one side, connections to the API server on the other. */
class KubernetesSession {
  readonly #session: EngineSession
  readonly #running: RunningRequests
  #http2: ServerHttp2Session | undefined
  #server: ApiServer | undefined
  #opening: Promise<ApiServer> | undefined
  #lastActivity = performance.now()
  #finish: (end: SessionEnd) => void = () => undefined
  readonly #over: Promise<SessionEnd>

  constructor(session: EngineSession) {
    this.#session = session
    this.#running = new RunningRequests(session.guard)
    this.#over = new Promise((resolve) => {
      this.#finish = resolve
    })
  }

  async serve(): Promise<SessionEnd> {
    const { signal, client } = this.#session
    const onAbort = (): void => this.#finish(endOf(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    const stream = new ChannelStream(client, (error) => this.#finish(error ? { reason: 'connection_lost', detail: error.code } : { reason: 'client_closed' }))
    stream.on('error', () => stream.destroy())
    this.#start(stream)
    const timers = [setInterval(() => this.#running.recheck(), recheckMilliseconds).unref(), this.#watchIdle()]
    if (signal.aborted) onAbort()
    const end = await this.#over
    for (const timer of timers) clearInterval(timer)
    signal.removeEventListener('abort', onAbort)
    await this.#shutDown(end)
    return end
  }

  #start(stream: ChannelStream): void {
    const session = http2.performServerHandshake(stream, { settings: { ...innerSettings }, maxSessionMemory: 64 })
    this.#http2 = session
    session.setLocalWindowSize(innerWindowBytes)
    session.on('error', () => this.#finish({ reason: 'protocol_error' }))
    session.on('close', () => this.#finish({ reason: 'client_closed' }))
    const budget = new BodyBudget()
    const { guard, grant } = this.#session
    const handler = new RequestHandler({
      guard,
      target: grant.payload.target.name,
      server: () => this.#apiServer(),
      running: this.#running,
      budget,
      active: () => {
        this.#lastActivity = performance.now()
      },
      fatal: (error) => this.#fatal(error),
    })
    session.on('stream', (h2, headers, flags) => {
      this.#lastActivity = performance.now()
      const inbound = new Inbound(h2, headers, (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0)
      handler.handle(inbound).catch((error: unknown) => {
        if (error instanceof Error && error.name === 'SpoolError') return this.#fatal(error)
        this.#session.log.warn({ error_name: error instanceof Error ? error.name : 'unknown', error_stack: stackWithoutMessage(error) }, 'a request failed')
        inbound.fail(statusObject(500, 'Sallyport: internal error in the agent; nothing more was done. Tell your platform team.'))
      })
    })
  }

  /** Opened with the first request that is permitted. A credential that could not be read is tried again with the next. */
  #apiServer(): Promise<ApiServer> {
    this.#opening ??= this.#openServer().catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  async #openServer(): Promise<ApiServer> {
    const { grant, credentials } = this.#session
    const spec = kubernetesTargetSchema.parse(grant.payload.target.spec)
    const server = await openApiServer(spec, credentials, grant)
    if (this.#session.signal.aborted) {
      server.close()
      throw new UpstreamError('TARGET_UNREACHABLE', 'the session has ended', 'Run the command again.')
    }
    this.#server = server
    return server
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

  async #shutDown(end: SessionEnd): Promise<void> {
    try {
      this.#running.endAll(end)
    } catch {
      // The spool refuses: recovery writes these ends when the agent starts again.
      this.#session.log.warn({}, 'ends of commands could not be recorded')
    }
    this.#server?.close()
    await this.#lastWords()
    this.#session.client.close(end.message === undefined ? undefined : { code: codeOf(end.reason), message: end.message, hint: end.hint ?? '' })
    this.#http2?.destroy()
  }

  /** What was told to the clients of running commands must leave before the channel is closed: over SPDY silence looks like success. */
  #lastWords(): Promise<void> {
    const session = this.#http2
    if (session === undefined || session.destroyed) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, lastWordsMilliseconds)
      session.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      session.close()
    })
  }

  #watchIdle(): NodeJS.Timeout {
    const idleMilliseconds = this.#session.grant.payload.terms.idle_seconds * 1000
    const check = (): void => {
      // What waits for people is not idle; it has its own end.
      if (this.#running.holding > 0) this.#lastActivity = performance.now()
      if (performance.now() - this.#lastActivity < idleMilliseconds) return
      this.#finish({ reason: 'idle', message: 'the session was idle for too long', hint: 'Run the command again.' })
    }
    return setInterval(check, Math.max(250, Math.min(idleMilliseconds / 10, 15_000))).unref()
  }
}

function codeOf(reason: string): string {
  switch (reason) {
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
