import type { IncomingMessage } from 'node:http'
import { Output, Recorder, type CommandResult, type Guard, type OutputSink, type Permit } from '@sallyport/kit'
import { ResponseMask, ResponseMaskError, type RequestedResource } from '../mask/index.js'
import { statusObject } from '../wire/status.js'
import { violation } from './api-server.js'
import type { Inbound } from './inbound.js'
import type { RunningRequests } from './running.js'
import { upstreamStatus } from './texts.js'

/** What an answer is read as. `plain`: what the API server says of itself (discovery, OpenAPI), in which no object stands. */
export type AnswerShape = 'object' | 'watch' | 'text' | 'plain'

export interface AnswerContext {
  readonly guard: Guard
  readonly running: RunningRequests
  readonly permit: Permit
  readonly shape: AnswerShape
  /** What was asked for: elements of a list don't say their own kind. */
  readonly resource: RequestedResource | undefined
  /** Shown by kubectl with the answer. */
  readonly warnings: readonly string[]
  active(): void
  fatal(error: unknown): void
}

/** Of the API server's headers these reach the client. */
const answeredHeaders = ['cache-control', 'content-type', 'retry-after', 'audit-id', 'last-modified', 'etag', 'vary'] as const
const previewBytes = 2048

/**
 * Sends an answer of the API server on: masked, recorded, no faster than the client takes it. Resolves when its end is on
 * record.
 */
export function relayAnswer(response: IncomingMessage, inbound: Inbound, context: AnswerContext): Promise<void> {
  return new Promise((resolve) => {
    new Answer(response, inbound, context, resolve).start()
  })
}

class Answer implements OutputSink {
  readonly #permit: Permit
  #json: ResponseMask | undefined
  #output: Output | undefined
  #recorder: Recorder | undefined
  #preview = ''
  #over = false
  #bytes = 0

  constructor(
    private readonly response: IncomingMessage,
    private readonly inbound: Inbound,
    private readonly context: AnswerContext,
    private readonly done: () => void,
  ) {
    this.#permit = context.permit
  }

  start(): void {
    const { response, inbound, context } = this
    const problem = this.#problem()
    if (problem !== undefined) {
      this.#finish({ status: 'error', error_code: problem.code }, () => inbound.fail(upstreamStatus(problem)))
      response.destroy()
      return
    }
    const { stream } = inbound
    const remove = context.running.add({ permit: this.#permit, cut: (why) => this.#cut(why) })
    const finished = this.#prepare()
    response.on('data', (bytes: Buffer) => {
      if (this.#over) return
      this.#bytes += bytes.length
      context.active()
      this.#push(bytes)
    })
    response.once('end', () => {
      if (response.complete) finished()
    })
    response.once('close', () => {
      remove()
      if (this.#over) return
      inbound.cut()
      this.#finish({ status: 'unknown', error_code: 'TARGET_CLOSED' })
    })
    response.on('error', () => undefined)
    stream.once('close', () => {
      remove()
      response.destroy()
      if (!this.#over) this.#finish({ status: 'cancelled' })
    })
    const headers: Record<string, string | string[]> = {}
    for (const name of answeredHeaders) {
      const value = response.headers[name]
      if (value !== undefined) headers[name] = value
    }
    const warnings = [...context.warnings, ...this.#upstreamWarnings()]
    if (warnings.length > 0) headers['warning'] = warnings
    inbound.respond(response.statusCode ?? 502, headers)
  }

  write(bytes: Buffer): boolean {
    return this.inbound.stream.write(bytes)
  }

  drained(): Promise<void> {
    const { stream } = this.inbound
    return new Promise((resolve) => {
      stream.once('drain', resolve)
      stream.once('close', resolve)
    })
  }

  /** What of the answer can't be passed on. */
  #problem(): ReturnType<typeof violation> | undefined {
    const { response, context } = this
    const status = response.statusCode ?? 0
    if (status < 200 || (status >= 300 && status < 400)) return violation(`answered with status ${status}, which is not followed`)
    if (response.headers['content-encoding'] !== undefined && response.headers['content-encoding'] !== 'identity') return violation('compressed its answer, though it was not asked to')
    const type = this.#contentType()
    const isText = type.startsWith('text/plain')
    if (context.shape === 'plain' && type.startsWith('application/com.github.proto-openapi.')) return undefined
    if (status >= 400 || context.shape === 'plain') return type.startsWith('application/json') || isText ? undefined : violation(`answered in ${type.slice(0, 80)}, in which nothing can be masked`)
    const wanted = context.shape === 'text' ? 'text/plain' : 'application/json'
    return type.startsWith(wanted) || (context.shape === 'text' && type.startsWith('application/json')) ? undefined : violation(`answered in ${type.slice(0, 80) || 'no format'}, in which nothing can be masked`)
  }

  #contentType(): string {
    return (this.response.headers['content-type'] ?? '').toLowerCase()
  }

  /** Sets the way of the answer up; returns what ends it. */
  #prepare(): () => void {
    const { context, response } = this
    const { guard } = context
    const failed = (response.statusCode ?? 0) >= 400
    if (context.shape === 'plain' && !failed) return () => this.#end({})
    if (!this.#contentType().startsWith('application/json')) {
      const output = new Output({ sink: this, guard, permit: this.#permit, terminal: undefined, masked: true, fatal: (error) => context.fatal(error) })
      output.stops(response)
      this.#output = output
      return () => {
        output.end()
        this.#end({ ...output.result })
      }
    }
    const recorder = new Recorder({ guard, permit: this.#permit, maxBytes: guard.recordResultBytes, onError: (error) => context.fatal(error) })
    this.#recorder = recorder
    const mask = new ResponseMask({
      masks: () => guard.masks,
      shape: context.shape === 'watch' && !failed ? 'watch' : 'object',
      ...(context.resource === undefined ? {} : { resource: context.resource }),
      emit: (bytes) => this.#emit(bytes, recorder),
    })
    this.#json = mask
    return () => {
      if (!this.#masked(() => mask.end())) return
      recorder.end()
      this.#end({ rows: mask.objects, masked: mask.masked, ...this.#previewed() })
    }
  }

  #push(bytes: Buffer): void {
    const { response, inbound } = this
    if (this.#output !== undefined) this.#output.push('stdout', bytes)
    else if (this.#json !== undefined) {
      const mask = this.#json
      if (!this.#masked(() => mask.push(bytes))) return
    } else this.write(bytes)
    if (this.#output !== undefined || !inbound.stream.writableNeedDrain) return
    response.pause()
    void this.drained().then(() => response.resume())
  }

  /** Runs the mask. What it can't read is not passed on: the answer is cut. */
  #masked(run: () => void): boolean {
    try {
      run()
      return true
    } catch (error) {
      if (!(error instanceof ResponseMaskError)) throw error
      const broken = violation('answered with JSON that can not be read')
      this.response.destroy()
      this.#finish({ status: 'error', error_code: broken.code }, () => this.inbound.fail(upstreamStatus(broken)))
      return false
    }
  }

  #emit(bytes: Buffer, recorder: Recorder): void {
    recorder.push('o', bytes)
    if (this.#preview.length < previewBytes) this.#preview += bytes.toString('utf8', 0, previewBytes)
    this.write(bytes)
  }

  #previewed(): Pick<CommandResult, 'result'> {
    const room = Math.min(this.context.guard.recordResultBytes, previewBytes)
    if (room === 0 || this.#preview === '') return {}
    return { result: { columns: ['answer'], rows: [[this.#preview.slice(0, room)]], truncated: this.#preview.length > room } }
  }

  /** What the server warns of may quote values. */
  #upstreamWarnings(): string[] {
    const value = this.response.headers['warning']
    const values = value === undefined ? [] : Array.isArray(value) ? value : [value]
    return values.map((text) => this.context.guard.masks.detectors(text).text)
  }

  #end(result: Partial<CommandResult>): void {
    const status = this.response.statusCode ?? 0
    this.#finish({ status: status < 400 ? 'ok' : 'error', ...result, ...(status < 400 ? {} : { error_code: String(status) }) }, () => this.inbound.stream.end())
  }

  #cut({ message, rule }: { message: string; rule: string }): void {
    if (this.#over) return
    const { inbound, context } = this
    if (context.shape === 'watch') {
      // What kubectl shows of a watch that the server ends.
      inbound.stream.write(JSON.stringify({ type: 'ERROR', object: statusObject(403, `Sallyport: ${message}. Rule: ${rule}.`) }) + '\n')
      inbound.stream.end()
    } else if (context.shape === 'text' && inbound.answered) {
      inbound.stream.write(`\nSallyport: ${message}. Rule: ${rule}.\n`)
      inbound.stream.end()
    } else inbound.cut()
    this.#recorder?.end()
    this.#finish({ status: 'cancelled' })
    this.response.destroy()
  }

  #finish(result: Pick<CommandResult, 'status'> & Partial<CommandResult>, after?: () => void): void {
    if (this.#over) return
    this.#over = true
    const { context, response } = this
    let recorded: Promise<void> | undefined
    try {
      recorded = context.guard.finish(this.#permit, {
        tag: `HTTP ${response.statusCode ?? 0}`,
        rows: 0,
        bytes: this.#bytes,
        masked: this.#json?.masked ?? 0,
        ...(this.#output === undefined ? {} : this.#output.result),
        ...result,
      })
    } catch (error) {
      context.fatal(error)
      this.done()
      return
    }
    if (recorded === undefined) {
      after?.()
      this.done()
    } else {
      recorded
        .then(() => after?.(), (error: unknown) => context.fatal(error))
        .finally(this.done)
    }
  }
}
