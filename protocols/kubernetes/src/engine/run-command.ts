import type { Writable } from 'node:stream'
import { Output, type CommandResult, type Denial, type Guard, type Permit } from '@sallyport/kit'
import {
  exitCode, failureStatus, serveRemoteCommand, StreamsError, type AcceptedUpgrade, type RemoteCommandClient, type RemoteCommandServer, type RequestedStreams, type Status,
} from '@sallyport/kubernetes-streams'
import { valueOf, type KubernetesRequest } from '../analyse/index.js'
import { statusObject } from '../wire/status.js'
import { UpstreamError } from './api-server.js'
import { switchProtocol } from './handshake.js'
import type { Inbound } from './inbound.js'
import type { HandlerContext } from './request-handler.js'
import { connectCommand, NotSwitchedError } from './target-streams.js'
import { denialStatus, upstreamStatus } from './texts.js'

type Decide = (onHeld: (text: string) => void, signal: AbortSignal) => Promise<Permit | Denial>

/** Streams of a request, as its query has them. */
function streamsOf({ query }: KubernetesRequest): RequestedStreams {
  const is = (name: string): boolean => valueOf(query, name) === 'true'
  const tty = is('tty')
  return { stdin: is('stdin'), stdout: is('stdout'), stderr: is('stderr') && !tty, tty }
}

/**
 * Runs exec or attach. Denied at once, the client gets an ordinary error; held, it is switched first, so that its user sees
 * what it waits for.
 * @param waits whether the decision needs people
 */
export async function runCommand(inbound: Inbound, request: KubernetesRequest, client: AcceptedUpgrade, waits: boolean, decide: Decide, context: HandlerContext): Promise<void> {
  const streams = streamsOf(request)
  if (!waits) {
    const decided = await decide(() => undefined, inbound.gone)
    if (decided.kind === 'denial') return inbound.fail(denialStatus(decided, undefined))
    decided.consume()
    const target = await connected(inbound, request, streams, decided, context)
    if (target === undefined) return
    const remote = await served(inbound, client, streams)
    if (remote === undefined) {
      target.abort()
      await context.guard.finish(decided, { status: 'cancelled', rows: 0, bytes: 0, masked: 0 })
      return
    }
    new RunningCommand(remote, context).begin(decided, target)
    return
  }
  const remote = await served(inbound, client, streams)
  if (remote === undefined) return
  const running = new RunningCommand(remote, context)
  const decided = await decide((text) => running.say(text), running.gone)
  if (decided.kind === 'denial') return running.refuse(decided)
  decided.consume()
  await running.connectAndBegin(decided, request)
}

/** The client's end; undefined when it doesn't open the streams that it announced. */
async function served(inbound: Inbound, client: AcceptedUpgrade, streams: RequestedStreams): Promise<RemoteCommandServer | undefined> {
  switchProtocol(inbound, client)
  try {
    return await serveRemoteCommand({ upgrade: client, duplex: inbound.stream }, streams)
  } catch (error) {
    if (!(error instanceof StreamsError)) throw error
    inbound.cut()
    return undefined
  }
}

/** Undefined when the client was told why not. */
async function connected(inbound: Inbound, request: KubernetesRequest, streams: RequestedStreams, permit: Permit, context: HandlerContext): Promise<RemoteCommandClient | undefined> {
  try {
    return await connectCommand(await context.server(), request.target, streams, inbound.gone)
  } catch (error) {
    if (error instanceof NotSwitchedError) {
      await context.guard.finish(permit, { status: 'error', rows: 0, bytes: 0, masked: 0, error_code: String(error.status) })
      inbound.fail(statusObject(error.status >= 400 && error.status < 600 ? error.status : 502, messageIn(error.body, context.guard)))
      return undefined
    }
    if (!(error instanceof UpstreamError)) throw error
    await context.guard.finish(permit, { status: inbound.gone.aborted ? 'cancelled' : 'error', rows: 0, bytes: 0, masked: 0, error_code: error.code })
    inbound.fail(upstreamStatus(error))
    return undefined
  }
}

/** What the API server said instead of switching. */
function messageIn(body: string, guard: Guard): string {
  let message = 'the API server did not switch protocols'
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string') message = value.message.slice(0, 2048)
  } catch {
    // Not a Status: nothing of it is shown.
  }
  return guard.masks.detectors(message).text
}

/** A command between client and container. */
class RunningCommand {
  readonly #abort = new AbortController()
  #target: RemoteCommandClient | undefined
  #output: Output | undefined
  #permit: Permit | undefined
  #remove: (() => void) | undefined
  #over = false
  #size = { columns: 80, rows: 24 }

  constructor(
    private readonly remote: RemoteCommandServer,
    private readonly context: HandlerContext,
  ) {
    const { stdin, resizes, requested } = remote
    resizes?.on('data', ({ width, height }: { width: number; height: number }) => {
      this.#size = { columns: width, rows: height }
      this.#output?.resized(this.#size)
      this.#target?.resize({ width, height })
    })
    // What is piped in waits for the decision; what is typed meanwhile is thrown away.
    if (requested.tty) stdin?.on('data', (bytes: Buffer) => this.#input(bytes))
    void remote.closed.then(() => {
      this.#abort.abort('client gone')
      this.#finish('cancelled')
    })
  }

  /** Aborts when the client has gone. */
  get gone(): AbortSignal {
    return this.#abort.signal
  }

  /** To the client's user, beside what the command prints. */
  say(text: string): void {
    const stream = this.remote.stderr ?? this.remote.stdout
    stream?.write(text)
  }

  refuse(denial: Denial): void {
    this.#over = true
    void this.remote.finish(failureStatus(denialStatus(denial, undefined).message, 'Forbidden', 403))
  }

  async connectAndBegin(permit: Permit, request: KubernetesRequest): Promise<void> {
    const { guard, server } = this.context
    try {
      this.begin(permit, await connectCommand(await server(), request.target, this.remote.requested, this.gone))
    } catch (error) {
      const known = error instanceof NotSwitchedError ? { code: String(error.status), message: messageIn(error.body, guard) } : error instanceof UpstreamError ? { code: error.code, message: upstreamStatus(error).message } : undefined
      if (known === undefined) throw error
      const wasOver = this.#over
      this.#over = true
      await guard.finish(permit, { status: wasOver ? 'cancelled' : 'error', rows: 0, bytes: 0, masked: 0, error_code: known.code })
      void this.remote.finish(failureStatus(known.message))
    }
  }

  begin(permit: Permit, target: RemoteCommandClient): void {
    const { guard, running, active, fatal } = this.context
    const { requested, stdout, stderr, stdin } = this.remote
    this.#permit = permit
    const output = new Output({
      sink: {
        write: (bytes, toStderr) => ((toStderr ? stderr : undefined) ?? stdout ?? stderr)?.write(bytes) ?? true,
        drained: async () => {
          await Promise.all([drained(stdout), drained(stderr)])
        },
      },
      guard,
      permit,
      terminal: requested.tty ? this.#size : undefined,
      masked: true,
      fatal,
    })
    this.#output = output
    this.#target = target
    for (const name of ['stdout', 'stderr'] as const) {
      const stream = target[name]
      if (stream === undefined) continue
      output.stops(stream)
      stream.on('data', (bytes: Buffer) => {
        active()
        if (!this.#over) output.push(name, bytes)
      })
    }
    void this.#ended(target)
    this.#remove = running.add({ permit, cut: (why) => this.#cut(why) })
    if (this.#over) {
      target.abort()
      return
    }
    if (requested.tty) target.resize({ width: this.#size.columns, height: this.#size.rows })
    else stdin?.on('data', (bytes: Buffer) => this.#input(bytes))
    if (stdin?.readableEnded === true) target.stdin?.end()
    else stdin?.once('end', () => target.stdin?.end())
  }

  #input(bytes: Buffer): void {
    const target = this.#target
    if (target?.stdin === undefined || this.#over) return
    this.context.active()
    this.#output?.typed(bytes)
    if (target.stdin.write(bytes)) return
    const { stdin } = this.remote
    stdin?.pause()
    void drained(target.stdin).then(() => stdin?.resume())
  }

  /** The status may be known while output still waits to be read. */
  async #ended(target: RemoteCommandClient): Promise<void> {
    await target.closed
    await Promise.all([target.stdout, target.stderr].map(read))
    this.#finish('ended', await target.status.catch(() => undefined))
  }

  /** At once: nothing of what still waits is worth that the command goes on for a client that doesn't read. */
  #cut({ message, rule }: { readonly message: string; readonly rule: string }): void {
    const text = `Sallyport: ${message}. Rule: ${rule}.`
    this.say(`\r\n${text}\r\n`)
    this.#finish('cancelled')
    this.remote.abort(new StreamsError('ABORTED', text))
  }

  #finish(how: 'ended' | 'cancelled', status?: Status): void {
    if (this.#over) return
    this.#over = true
    this.#remove?.()
    this.#target?.abort()
    const { guard, fatal } = this.context
    const permit = this.#permit
    const output = this.#output
    if (permit === undefined || output === undefined) return this.remote.abort()
    output.end()
    const code = status === undefined ? undefined : exitCode(status)
    const result: CommandResult = {
      status: how === 'cancelled' ? how : status === undefined ? 'unknown' : status.status === 'Success' ? 'ok' : 'error',
      ...(code === undefined ? {} : { tag: `exit ${code}` }),
      ...output.result,
      ...(status?.status === 'Success' ? {} : { error_code: code === undefined ? 'Failure' : `exit ${code}` }),
    }
    const shown = status === undefined ? failureStatus('Sallyport: the connection to the container was broken off.') : masked(status, guard)
    const close = (): void => void this.remote.finish(shown)
    try {
      const recorded = guard.finish(permit, result)
      if (how === 'cancelled') recorded?.catch(fatal)
      else if (recorded === undefined) close()
      else recorded.then(close, fatal)
    } catch (error) {
      fatal(error)
    }
  }
}

/** The container runtime's words may quote what was run. */
function masked(status: Status, guard: Guard): Status {
  const { message, details } = status
  const text = (value: string): string => guard.masks.detectors(value).text
  return {
    ...status,
    ...(message === undefined ? {} : { message: text(message) }),
    ...(details?.causes === undefined ? {} : { details: { causes: details.causes.map((cause) => ({ ...cause, ...(cause.message === undefined ? {} : { message: text(cause.message) }) })) } }),
  }
}

function drained(stream: Writable | undefined): Promise<void> {
  if (stream === undefined || stream.destroyed || !stream.writableNeedDrain) return Promise.resolve()
  return new Promise((resolve) => {
    stream.once('drain', resolve)
    stream.once('close', resolve)
  })
}

/** Resolves when the stream was read to its end, or is gone. */
function read(stream: RemoteCommandClient['stdout']): Promise<void> {
  if (stream === undefined || stream.destroyed || stream.readableEnded) return Promise.resolve()
  return new Promise((resolve) => {
    stream.once('end', resolve)
    stream.once('close', resolve)
  })
}
