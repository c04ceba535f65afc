import type { Command, Denial, Guard, HeldNotice, Permit } from '@sallyport/kit'
import type { AcceptedUpgrade } from '@sallyport/kubernetes-streams'
import { commandOf, parseBody, parseRequest, RequestRefusedError, type KubernetesRequest, type RequestBody } from '../analyse/index.js'
import { findMasked } from '../mask/index.js'
import { statusObject } from '../wire/status.js'
import { relayAnswer, type AnswerShape } from './answer.js'
import { UpstreamError, type ApiServer } from './api-server.js'
import { negotiate } from './handshake.js'
import { BodyError, type BodyBudget, type Inbound } from './inbound.js'
import { readProtobuf } from './protobuf-body.js'
import { reviewFacts } from './review-facts.js'
import type { RunningRequests } from './running.js'
import { runCommand } from './run-command.js'
import { runPortForward } from './run-port-forward.js'
import { denialStatus, heldText, upstreamStatus, warning } from './texts.js'

export interface HandlerContext {
  readonly guard: Guard
  /** The target's name, for texts. */
  readonly target: string
  readonly running: RunningRequests
  readonly budget: BodyBudget
  /** @throws {UpstreamError} */
  server(): Promise<ApiServer>
  active(): void
  fatal(error: unknown): void
}

/** Requests that are held or run at a time in one session. */
const maxHolding = 16

/** One request after the other of a session: read strictly, decided, and only then sent. */
export class RequestHandler {
  constructor(private readonly context: HandlerContext) {}

  /** Rejects only when the agent itself fails. */
  async handle(inbound: Inbound): Promise<void> {
    let request: KubernetesRequest
    let body: RequestBody | undefined
    let client: AcceptedUpgrade | undefined
    let denial: Denial | undefined
    try {
      if (inbound.withheld !== undefined) throw withheld(inbound.withheld)
      request = parseRequest(inbound)
      if (request.upgrade !== undefined) client = negotiate(request, inbound)
      else body = parseBody(request, inbound, await inbound.body(this.context.budget))
      if (body?.type === 'protobuf' && request.kind === 'resource') {
        const read = await readProtobuf(request, body, this.context)
        if ('kind' in read) denial = read
        else body = read
      }
      refuseMasked(body)
    } catch (error) {
      this.#refuse(inbound, error)
      return
    }
    if (denial !== undefined) return inbound.fail(denialStatus(denial, undefined))
    const command = commandOf(request, body)
    if (client?.kind === 'remote-command') return this.#runCommand(inbound, request, client, command)
    const decided = await this.#decide(inbound, request, body, command)
    if (decided === undefined) return
    const { permit, notice } = decided
    const warnings = notice === undefined ? [] : [warning(`Sallyport: this waited for approval, and was approved: ${notice.url}`)]
    if (client !== undefined && request.kind === 'resource') await runPortForward(inbound, request, client, permit, this.context)
    else await this.#run(inbound, request, body, permit, warnings)
  }

  /** Undefined when the client was told no. */
  async #decide(inbound: Inbound, request: KubernetesRequest, body: RequestBody | undefined, command: Command): Promise<{ permit: Permit; notice: HeldNotice | undefined } | undefined> {
    let notice: HeldNotice | undefined
    const decided = await this.#held(command, async (waits) => {
      const full = waits ? await this.#forReview(request, body, command) : command
      return this.context.guard.submit(full, {
        hold: () => ({
          signal: inbound.gone,
          onHeld: (told) => {
            notice = told
          },
          release: () => undefined,
        }),
      })
    })
    if (decided.kind === 'denial') {
      inbound.fail(denialStatus(decided, notice))
      return undefined
    }
    decided.consume()
    return { permit: decided, notice }
  }

  async #runCommand(inbound: Inbound, request: KubernetesRequest, client: AcceptedUpgrade, command: Command): Promise<void> {
    const { guard } = this.context
    await this.#held(command, async (waits) => {
      const decide = (onHeld: (text: string) => void, signal: AbortSignal): Promise<Permit | Denial> =>
        Promise.resolve(guard.submit(command, { hold: () => ({ signal, onHeld: (notice) => onHeld(heldText(notice)), release: () => undefined }) }))
      return runCommand(inbound, request, client, waits, decide, this.context)
    }, (denial) => inbound.fail(denialStatus(denial, undefined)))
  }

  /** Counts what waits for people: too many holds of one session would bury the reviewers. */
  async #held<T>(command: Command, run: (waits: boolean) => Promise<T>): Promise<T | Denial>
  async #held<T>(command: Command, run: (waits: boolean) => Promise<T>, onDenial: (denial: Denial) => void): Promise<T | undefined>
  async #held<T>(command: Command, run: (waits: boolean) => Promise<T>, onDenial?: (denial: Denial) => void): Promise<T | Denial | undefined> {
    const { guard, running } = this.context
    const waits = guard.recheck(command).verdict === 'hold'
    if (!waits) return run(false)
    if (running.holding >= maxHolding) {
      const denial = guard.refuse(command, { rule: 'limit', message: `${maxHolding} requests of this session wait for approval already`, hint: 'Wait for them, or withdraw one.' })
      if (onDenial === undefined) return denial
      onDenial(denial)
      return undefined
    }
    running.holding += 1
    try {
      return await run(true)
    } finally {
      running.holding -= 1
    }
  }

  /** Adds what reviewers should see of the cluster as it is: part of what the approval is bound to. */
  async #forReview(request: KubernetesRequest, body: RequestBody | undefined, command: Command): Promise<Command> {
    const { guard, server } = this.context
    try {
      const facts = await reviewFacts(await server(), request, body, guard.masks)
      return { ...command, facts: { ...command.facts, ...facts } }
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error
      return { ...command, facts: { ...command.facts, live_object: `could not be read: ${error.message}` } }
    }
  }

  async #run(inbound: Inbound, request: KubernetesRequest, body: RequestBody | undefined, permit: Permit, warnings: readonly string[]): Promise<void> {
    const { guard, running, active, fatal } = this.context
    let response
    try {
      const server = await this.context.server()
      response = await server.send({
        method: request.method,
        target: request.target,
        headers: { ...(request.accept === undefined ? {} : { accept: request.accept }), 'accept-encoding': 'identity', ...(body === undefined ? {} : { 'content-type': body.contentType }) },
        body: body?.bytes,
        signal: inbound.gone,
      })
    } catch (error) {
      if (inbound.gone.aborted) return void (await guard.finish(permit, { status: 'cancelled', rows: 0, bytes: 0, masked: 0 }))
      if (!(error instanceof UpstreamError)) throw error
      await guard.finish(permit, { status: 'error', rows: 0, bytes: 0, masked: 0, error_code: error.code })
      inbound.fail(upstreamStatus(error))
      return
    }
    await relayAnswer(response, inbound, { guard, running, permit, shape: shapeOf(request), resource: resourceOf(request), warnings, active, fatal })
  }

  #refuse(inbound: Inbound, error: unknown): void {
    if (error instanceof UpstreamError) return inbound.fail(upstreamStatus(error))
    const refused = error instanceof RequestRefusedError ? error : error instanceof BodyError ? fromBody(error) : undefined
    if (refused === undefined) throw error
    const { guard } = this.context
    // The path as it came, cut and printable: it may be anything.
    const text = `${printable(inbound.method, 16)} ${printable(inbound.path, 2048)}`
    const denial = guard.refuse({ text, effects: [] }, { rule: refused.rule, message: refused.message, hint: refused.hint })
    if (denial.cause === 'unavailable') return inbound.fail(denialStatus(denial, undefined))
    inbound.fail(
      statusObject(refused.status, `Sallyport: ${refused.message}. Rule: ${refused.rule}. ${refused.hint}`, [
        { reason: 'Sallyport.refused', message: refused.message },
        { reason: 'Sallyport.rule', message: refused.rule },
      ]),
    )
  }
}

function shapeOf(request: KubernetesRequest): AnswerShape {
  if (request.kind === 'discovery') return 'plain'
  if (request.kind === 'resource') return request.verb === 'watch' ? 'watch' : request.subresource === 'log' ? 'text' : 'object'
  return 'text'
}

function resourceOf(request: KubernetesRequest): { group: string; resource: string; subresource?: string } | undefined {
  if (request.kind !== 'resource') return undefined
  return { group: request.group, resource: request.resource, ...(request.subresource === undefined ? {} : { subresource: request.subresource }) }
}

function withheld(names: string): RequestRefusedError {
  const identity = /impersonate-|x-remote-/.test(names)
  return new RequestRefusedError({
    status: 403,
    rule: identity ? 'impersonation' : 'ambiguous-headers',
    message: identity ? `the request names another identity (${names})` : `the request can be understood in two ways (${names})`,
    hint: identity ? 'Who you are is what your token says: leave --as, --as-group and such headers out.' : 'Send each of these headers once.',
  })
}

function refuseMasked(body: RequestBody | undefined): void {
  if (body?.value === undefined) return
  const paths = findMasked(body.value)
  if (paths.length === 0) return
  throw new RequestRefusedError({
    status: 400,
    rule: 'masked-value',
    message: `the request would write a value that Sallyport had masked (${paths.slice(0, 5).join(', ')})`,
    hint: 'Nothing was written. Leave these fields out, for example with `kubectl patch` for the fields that you mean, or give their real values.',
  })
}

function fromBody(error: BodyError): RequestRefusedError {
  return new RequestRefusedError({ status: error.status, rule: 'body', message: error.message, hint: 'Nothing was sent to the cluster. Send less, or faster.' })
}

function printable(text: string, most: number): string {
  return text.slice(0, most).replace(/[^\x20-\x7e]/g, '?')
}
