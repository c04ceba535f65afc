import { Output, type CommandResult, type Denial, type Guard, type Permit } from '@sallyport/kit'
import {
  serveSpdyCommand, serveWebSocketCommand, type RemoteCommandClient, type RemoteCommandServer, type RemoteCommandServerHandlers, type RemoteStatus, type RemoteStreams,
} from '@sallyport/kubernetes-streams'
import { valueOf, type KubernetesRequest } from '../analyse/index.js'
import { statusObject } from '../wire/status.js'
import { UpstreamError } from './api-server.js'
import type { ClientProtocol } from './handshake.js'
import type { Inbound } from './inbound.js'
import type { HandlerContext } from './request-handler.js'
import { connectCommand, NotSwitchedError } from './target-streams.js'
import { denialStatus, upstreamStatus } from './texts.js'

type Decide = (onHeld: (text: string) => void, signal: AbortSignal) => Promise<Permit | Denial>

/** Streams of a request, as its query has them. */
function streamsOf({ query }: KubernetesRequest): RemoteStreams {
  const is = (name: string): boolean => valueOf(query, name) === 'true'
  const tty = is('tty')
  return { stdin: is('stdin'), stdout: is('stdout'), stderr: is('stderr') && !tty, tty }
}

/**
 * Runs exec or attach. Denied at once, the client gets an ordinary error; held, it is switched first, so that its user sees
 * what it waits for.
 * @param waits whether the decision needs people
 */
export async function runCommand(inbound: Inbound, request: KubernetesRequest, client: ClientProtocol, waits: boolean, decide: Decide, context: HandlerContext): Promise<void> {
  const streams = streamsOf(request)
  if (!waits) {
    const decided = await decide(() => undefined, inbound.gone)
    if (decided.kind === 'denial') return inbound.fail(denialStatus(decided, undefined))
    decided.consume()
    const start = await connected(inbound, request, streams, decided, context)
    if (start === undefined) return
    new RunningCommand(inbound, client, streams, context).begin(decided, start)
    return
  }
  const running = new RunningCommand(inbound, client, streams, context)
  const decided = await decide((text) => running.say(text), running.gone)
  if (decided.kind === 'denial') return running.refuse(decided)
  decided.consume()
  await running.connectAndBegin(decided, request)
}

/** Undefined when the client was told why not. */
async function connected(inbound: Inbound, request: KubernetesRequest, streams: RemoteStreams, permit: Permit, context: HandlerContext): Promise<Awaited<ReturnType<typeof connectCommand>> | undefined> {
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
  readonly #remote: RemoteCommandServer
  #target: RemoteCommandClient | undefined
  #output: Output | undefined
  #permit: Permit | undefined
  #remove: (() => void) | undefined
  #over = false
  #status: RemoteStatus | undefined
  #size = { columns: 80, rows: 24 }
  #inputEnded = false

  constructor(
    inbound: Inbound,
    client: ClientProtocol,
    private readonly streams: RemoteStreams,
    private readonly context: HandlerContext,
  ) {
    inbound.switchProtocol(client.kind === 'spdy-command' ? 'SPDY/3.1' : 'websocket', client.headers)
    const handlers: RemoteCommandServerHandlers = {
      onInput: (bytes) => this.#input(bytes),
      onInputEnd: () => {
        this.#inputEnded = true
        this.#target?.endInput()
      },
      onResize: (size) => {
        this.#size = size
        this.#output?.resized(size)
        this.#target?.resize(size)
      },
      onClose: () => {
        this.#abort.abort()
        this.#finish('cancelled')
      },
    }
    this.#remote = client.kind === 'websocket-command' ? serveWebSocketCommand(inbound.stream, client.protocol, streams, handlers) : serveSpdyCommand(inbound.stream, streams, handlers)
    // What is piped in waits for the decision; what is typed meanwhile is thrown away.
    if (!streams.tty) this.#remote.pauseInput()
  }

  /** Aborts when the client has gone. */
  get gone(): AbortSignal {
    return this.#abort.signal
  }

  /** To the client's user, beside what the command prints. */
  say(text: string): void {
    if (this.streams.stderr) this.#remote.write('stderr', Buffer.from(text))
    else if (this.streams.stdout) this.#remote.write('stdout', Buffer.from(text))
  }

  refuse(denial: Denial): void {
    this.#over = true
    this.#remote.finish({ status: 'Failure', message: denialStatus(denial, undefined).message })
  }

  async connectAndBegin(permit: Permit, request: KubernetesRequest): Promise<void> {
    const { guard, server } = this.context
    try {
      this.begin(permit, await connectCommand(await server(), request.target, this.streams, this.gone))
    } catch (error) {
      const known = error instanceof NotSwitchedError ? { code: String(error.status), message: messageIn(error.body, guard) } : error instanceof UpstreamError ? { code: error.code, message: upstreamStatus(error).message } : undefined
      if (known === undefined) throw error
      const wasOver = this.#over
      this.#over = true
      await guard.finish(permit, { status: wasOver ? 'cancelled' : 'error', rows: 0, bytes: 0, masked: 0, error_code: known.code })
      this.#remote.finish({ status: 'Failure', message: known.message })
    }
  }

  begin(permit: Permit, start: Awaited<ReturnType<typeof connectCommand>>): void {
    const { guard, running, active, fatal } = this.context
    const { streams } = this
    this.#permit = permit
    const output = new Output({
      sink: { write: (bytes, stderr) => this.#remote.write(stderr && streams.stderr ? 'stderr' : 'stdout', bytes), drained: () => this.#remote.drained() },
      guard,
      permit,
      terminal: streams.tty ? this.#size : undefined,
      masked: true,
      fatal,
    })
    this.#output = output
    const target = start({
      onOutput: (name, bytes) => {
        active()
        if (!this.#over) output.push(name, bytes)
      },
      onStatus: (status) => {
        this.#status = status
      },
      onClose: () => this.#finish(this.#status === undefined ? 'unknown' : 'ended'),
    })
    this.#target = target
    output.stops({ pause: () => target.pauseOutput(), resume: () => target.resumeOutput() })
    this.#remove = running.add({
      permit,
      cut: ({ message, rule }) => {
        this.say(`\r\nSallyport: ${message}. Rule: ${rule}.\r\n`)
        this.#status = { status: 'Failure', message: `Sallyport: ${message}. Rule: ${rule}.` }
        this.#finish('cancelled')
      },
    })
    if (this.#over) {
      target.destroy()
      return
    }
    if (streams.tty) target.resize(this.#size)
    this.#remote.resumeInput()
    if (this.#inputEnded) target.endInput()
  }

  #input(bytes: Buffer): void {
    const target = this.#target
    if (target === undefined || this.#over) return
    this.context.active()
    this.#output?.typed(bytes)
    if (target.write(bytes)) return
    this.#remote.pauseInput()
    void target.drained().then(() => this.#remote.resumeInput())
  }

  #finish(how: 'ended' | 'cancelled' | 'unknown'): void {
    if (this.#over) return
    this.#over = true
    this.#remove?.()
    this.#target?.destroy()
    const { guard, fatal } = this.context
    const permit = this.#permit
    const output = this.#output
    const status: RemoteStatus = this.#status ?? { status: 'Failure', message: 'Sallyport: the connection to the container was broken off.' }
    if (permit === undefined || output === undefined) return this.#remote.destroy()
    output.end()
    const code = status.exitCode ?? (status.status === 'Success' ? 0 : undefined)
    const result: CommandResult = {
      status: how === 'ended' ? (status.status === 'Success' ? 'ok' : 'error') : how,
      ...(code === undefined ? {} : { tag: `exit ${code}` }),
      ...output.result,
      ...(status.status === 'Failure' ? { error_code: code === undefined ? 'Failure' : `exit ${code}` } : {}),
    }
    // The container runtime's words may quote what was run.
    const shown = status.message === undefined ? status : { ...status, message: guard.masks.detectors(status.message).text }
    const close = (): void => this.#remote.finish(shown)
    try {
      const recorded = guard.finish(permit, result)
      if (recorded === undefined) close()
      else recorded.then(close, fatal)
    } catch (error) {
      fatal(error)
    }
  }
}

