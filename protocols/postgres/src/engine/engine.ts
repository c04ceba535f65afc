import type { ChannelReader, EngineSession, ProtocolEngine, SessionEnd } from '@sallyport/kit'
import { AnalysisCache, AnalysisError, loadAnalyser } from '../analyse/index.js'
import { backend, encodeError, encodeParameterStatus, encodeReadyForQuery, FrameReader, frontend, maxClientMessageBytes, maxTargetMessageBytes, ProtocolError, targetSettings } from '../codec/index.js'
import { postgresTargetSchema, type PostgresTarget } from '../target-spec.js'
import { CatalogStore } from './catalog-store.js'
import { ClientSide } from './client-side.js'
import { Conversation } from './conversation.js'
import { Holds } from './holds.js'
import { NamesTracker } from './names-tracker.js'
import { TargetLink } from './target-link.js'
import { connectToTarget, loginToTarget, TargetError, type TargetLogin } from './target-login.js'
import { TargetSide } from './target-side.js'

const cancelMilliseconds = 5000
const analysisCacheBytes = 16 * 1024 * 1024

/** Shared by all PostgreSQL sessions of one agent. */
export interface PostgresShared {
  readonly catalogs: CatalogStore
  readonly analyses: AnalysisCache
}

/** The PostgreSQL engine. Loads the parser once. */
export async function createPostgresEngine(): Promise<ProtocolEngine> {
  await loadAnalyser()
  const shared: PostgresShared = { catalogs: new CatalogStore(), analyses: new AnalysisCache(analysisCacheBytes) }
  return { protocol: 'postgres', serve: (session) => new PostgresSession(session, shared).serve() }
}

const clientTypes = new Set<number>(Object.values(frontend))
const targetTypes = new Set<number>(Object.values(backend))
const clientLimit = (type: number): number => (clientTypes.has(type) ? maxClientMessageBytes : 0)
const targetLimit = (type: number): number => (targetTypes.has(type) ? maxTargetMessageBytes : 0)

/** One session: client channel on one side, target socket on the other. */
class PostgresSession {
  readonly #session: EngineSession
  readonly #shared: PostgresShared
  readonly #input = new FrameReader(clientLimit)
  readonly #holds: Holds
  #conversation: Conversation | undefined
  #clientSide: ClientSide | undefined
  #targetSide: TargetSide | undefined
  #login: TargetLogin | undefined
  #clientBusy = true
  #targetBusy = false
  #unconfirmed = 0
  #lastActivity = performance.now()
  #finish: (end: SessionEnd) => void = () => undefined
  /** What ended it first: nothing that follows from that is the reason. */
  #ended: SessionEnd | undefined
  readonly #over: Promise<SessionEnd>

  constructor(session: EngineSession, shared: PostgresShared) {
    this.#session = session
    this.#shared = shared
    this.#holds = new Holds(session.client)
    this.#over = new Promise((resolve) => {
      this.#finish = (end) => {
        this.#ended ??= end
        resolve(end)
      }
    })
  }

  async serve(): Promise<SessionEnd> {
    const { signal, client } = this.#session
    const closing = new AbortController()
    client.start(this.#reader())
    const onAbort = (): void => this.#finish(endOf(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    void this.#over.then(() => closing.abort())
    const idle = this.#watchIdle()
    let end: SessionEnd
    try {
      await this.#open(closing.signal)
      if (signal.aborted) onAbort()
      end = await this.#over
    } catch (error) {
      end = this.#ended ?? this.#openFailed(error)
    }
    clearInterval(idle)
    signal.removeEventListener('abort', onAbort)
    this.#shutDown(end)
    return end
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { grant, parameters, credentials, client, guard, log } = this.#session
    const target = postgresTargetSchema.parse(grant.payload.target.spec)
    const login = await loginToTarget(target, credentials, targetSettings(parameters), targetLimit, signal)
    this.#login = login
    login.socket.on('close', () => this.#finish({ reason: 'target_closed', message: 'the target closed the connection' }))
    const key = `${target.host}:${target.port}/${target.database}?${target.user}`
    const names = new NamesTracker(this.#shared.catalogs, key, this.#shared.analyses)
    const link = new TargetLink(login.socket)
    const conversation = new Conversation(client, link, guard, names, log, (error) => this.#broken(error))
    conversation.status = login.status
    this.#conversation = conversation
    this.#clientSide = new ClientSide(conversation, this.#holds, () => this.#finish({ reason: 'client_closed' }))
    this.#targetSide = new TargetSide(conversation, login.reader)
    this.#session.onSignal(() => this.#cancel(target, login))
    for (const [name, value] of login.parameters) client.write(encodeParameterStatus(name, value))
    client.write(encodeReadyForQuery(login.status))
    login.socket.on('data', (chunk: Buffer) => this.#fromTarget(chunk))
    login.socket.resume()
    this.#clientBusy = false
    this.#fromClient()
  }

  // ---- client → target

  #reader(): ChannelReader {
    return {
      onData: (bytes) => {
        this.#unconfirmed += bytes.length
        this.#lastActivity = performance.now()
        this.#input.push(bytes)
        if (!this.#clientBusy) this.#fromClient()
      },
      onEnd: () => this.#finish({ reason: 'client_closed' }),
      onClose: (error) => this.#finish(error ? { reason: 'connection_lost', detail: error.code } : { reason: 'client_closed' }),
    }
  }

  #fromClient(): void {
    const side = this.#clientSide
    const conversation = this.#conversation
    if (!side || !conversation || conversation.ended) return
    try {
      while (this.#input.next()) {
        const wait = side.handle(this.#input.type, this.#input.buffer, this.#input.start, this.#input.end)
        if (wait) {
          this.#resumeClientAfter(wait)
          return
        }
        if (conversation.link.congested) {
          this.#resumeClientAfter(conversation.link.drained())
          return
        }
      }
    } catch (error) {
      this.#broken(error)
      return
    }
    this.#confirm()
  }

  #resumeClientAfter(wait: Promise<void>): void {
    this.#clientBusy = true
    wait.then(
      () => {
        this.#clientBusy = false
        this.#fromClient()
      },
      (error: unknown) => this.#broken(error),
    )
  }

  /** Gives the client room again for what has left our hands. */
  #confirm(): void {
    const bytes = this.#unconfirmed
    this.#unconfirmed = 0
    if (bytes > 0) this.#session.client.consumed(bytes)
  }

  // ---- target → client

  #fromTarget(chunk: Buffer): void {
    this.#lastActivity = performance.now()
    this.#targetSide?.reader.push(chunk)
    if (!this.#targetBusy) this.#drainTarget()
  }

  #drainTarget(): void {
    const side = this.#targetSide
    const socket = this.#login?.socket
    if (!side || !socket || this.#conversation?.ended) return
    let wait: Promise<void> | undefined
    try {
      wait = side.drain()
    } catch (error) {
      // The client must see whose fault it is.
      this.#broken(error instanceof ProtocolError ? new ProtocolError(`Sallyport: the target broke the protocol: ${error.message}`, error.sqlstate) : error)
      return
    }
    if (!wait && side.blocked) {
      side.blocked = false
      wait = this.#session.client.writable()
    }
    if (!wait) {
      if (socket.isPaused()) socket.resume()
      return
    }
    this.#targetBusy = true
    socket.pause()
    wait.then(
      () => {
        this.#targetBusy = false
        this.#drainTarget()
      },
      (error: unknown) => this.#broken(error),
    )
  }

  // ---- endings

  #broken(error: unknown): void {
    if (error instanceof ProtocolError) this.#finish({ reason: 'protocol_error', message: error.message, detail: error.sqlstate })
    else if (error instanceof AnalysisError) this.#finish({ reason: 'catalog_unreadable', message: `Sallyport: ${error.message}`, hint: error.hint })
    else {
      const spool = error instanceof Error && error.name === 'SpoolError'
      this.#session.log.warn({ error_name: error instanceof Error ? error.name : 'unknown', error_stack: error instanceof Error ? stackWithoutMessage(error) : '' }, 'session failed')
      this.#finish(
        spool
          ? { reason: 'audit_unavailable', message: 'Sallyport: nothing goes on unrecorded, and the audit record could not be written' }
          : { reason: 'internal_error', message: 'Sallyport: internal error in the agent; the session was ended' },
      )
    }
  }

  #openFailed(error: unknown): SessionEnd {
    if (this.#session.signal.aborted) return endOf(this.#session.signal)
    if (error instanceof TargetError) return { reason: 'target_unavailable', detail: error.code, message: `Sallyport: ${error.message}`, hint: error.hint }
    if (error instanceof ProtocolError) return { reason: 'protocol_error', message: error.message, detail: error.sqlstate }
    this.#broken(error)
    return { reason: 'internal_error', message: 'Sallyport: the session could not be opened' }
  }

  #shutDown(end: SessionEnd): void {
    const conversation = this.#conversation
    if (conversation) {
      conversation.ended = true
      conversation.copyAnswered?.()
      this.#finishRuns(conversation)
    }
    const { client } = this.#session
    if (end.message !== undefined) {
      const sqlstate = end.reason === 'protocol_error' && end.detail !== undefined && /^[0-9A-Z]{5}$/.test(end.detail) ? end.detail : (sqlstateOfEnd[end.reason] ?? '57P01')
      client.write(encodeError({ severity: 'FATAL', sqlstate, message: end.message, ...(end.hint ? { hint: end.hint } : {}) }))
    }
    client.close()
    const socket = this.#login?.socket
    if (!socket) return
    // A statement that still runs at the target must not outlive its session.
    if (conversation && conversation.status === 0x49 && conversation.expected.size === 0) conversation.link.terminate()
    else if (this.#login && !socket.destroyed) this.#cancelQuietly()
    socket.resume()
    setTimeout(() => socket.destroy(), 1000).unref()
  }

  /** What was running has an end in the record, even if only "unknown". */
  #finishRuns(conversation: Conversation): void {
    try {
      for (const item of conversation.expected.abandon()) {
        if (item.kind === 'query') for (const run of item.runs) conversation.finish(run, 'unknown')
        if (item.kind === 'execute') conversation.finish(item.portal.run, 'unknown')
        if (item.kind === 'bind') conversation.finish(item.portal.run, 'cancelled')
        if (item.kind === 'hidden') item.query.reject(new Error('the session has ended'))
      }
      for (const portal of conversation.portals.values()) conversation.finish(portal.run, portal.run.rows > 0 ? 'ok' : 'cancelled')
    } catch {
      // The spool refuses: recovery writes these ends when the agent starts again.
      this.#session.log.warn({}, 'ends of commands could not be recorded')
    }
  }

  #watchIdle(): NodeJS.Timeout {
    const idleMilliseconds = this.#session.grant.payload.terms.idle_seconds * 1000
    const timer = setInterval(
      () => {
        if (performance.now() - this.#lastActivity < idleMilliseconds || this.#clientBusy) return
        this.#finish({ reason: 'idle', message: 'Sallyport: the session was idle for too long', hint: 'Connect again.' })
      },
      Math.max(250, Math.min(idleMilliseconds / 10, 15_000)),
    )
    return timer.unref()
  }

  // ---- cancel

  #cancel(target: PostgresTarget, login: TargetLogin): void {
    if (this.#holds.cancel()) return
    this.#sendCancel(target, login).catch(() => this.#session.log.warn({}, 'cancel request failed'))
  }

  #cancelQuietly(): void {
    const login = this.#login
    const target = postgresTargetSchema.safeParse(this.#session.grant.payload.target.spec)
    if (login && target.success) this.#sendCancel(target.data, login).catch(() => undefined)
  }

  /** CancelRequest on a connection of its own (PostgreSQL protocol, "Canceling Requests in Progress"). */
  async #sendCancel(target: PostgresTarget, login: TargetLogin): Promise<void> {
    const socket = await connectToTarget(target, this.#session.credentials, AbortSignal.timeout(cancelMilliseconds))
    const head = Buffer.alloc(12)
    head.writeInt32BE(12 + login.secretKey.length, 0)
    head.writeInt32BE(80877102, 4)
    head.writeInt32BE(login.processId, 8)
    socket.end(Buffer.concat([head, login.secretKey]))
    socket.resume()
    setTimeout(() => socket.destroy(), cancelMilliseconds).unref()
  }
}

const sqlstateOfEnd: { readonly [reason: string]: string } = {
  target_unavailable: '57P03',
  target_closed: '08006',
  audit_unavailable: '57P03',
  internal_error: 'XX000',
  idle: '57P05',
}

function endOf(signal: AbortSignal): SessionEnd {
  const reason: unknown = signal.reason
  return isSessionEnd(reason) ? reason : { reason: 'agent_stopped', message: 'Sallyport: the session was ended' }
}

function isSessionEnd(value: unknown): value is SessionEnd {
  return typeof value === 'object' && value !== null && 'reason' in value && typeof value.reason === 'string'
}

/** Where it happened, without the message, which may quote data. */
function stackWithoutMessage(error: Error): string {
  const stack = error.stack ?? ''
  const at = stack.indexOf('\n    at ')
  return at < 0 ? '' : stack.slice(at).slice(0, 2000)
}
