import type { ClientDuplexStream } from '@grpc/grpc-js'
import type { AuthConversation, AuthStep, ChannelError, PublicKeyProof, SessionStart } from '@sallyport/kit'
import type { ControlPlaneStub, OpenSessionReplyReceived, OpenSessionRequest } from '@sallyport/proto'
import { gatewayErrors } from '../errors.js'

/** Steps that a control plane could push ahead of the client's answers; more is not a conversation. */
const MAX_WAITING_STEPS = 8

/**
 * Relays one client's authentication to the control plane. Whatever goes wrong is a refusal: there is no path on which
 * a lost stream, a late answer or a message that isn't understood ends in a session.
 */
export class ControlConversation implements AuthConversation {
  readonly #call: ClientDuplexStream<OpenSessionRequest, OpenSessionReplyReceived>
  readonly #signal: AbortSignal
  readonly #deadline: NodeJS.Timeout
  readonly #onRefused: (code: string) => void
  readonly #steps: AuthStep[] = []
  #waiting: ((step: AuthStep) => void) | undefined
  /** The last word: granted or refused. */
  #final: AuthStep | undefined
  readonly #abort = (): void => this.abort()

  constructor(
    client: ControlPlaneStub,
    start: SessionStart,
    signal: AbortSignal,
    options: { readonly timeoutMilliseconds: number; readonly onRefused: (code: string) => void },
  ) {
    this.#signal = signal
    this.#onRefused = options.onRefused
    this.#call = client.openSession()
    this.#call.on('data', (reply: OpenSessionReplyReceived) => this.#receive(reply))
    this.#call.on('error', () => this.#refuse(gatewayErrors.unavailable))
    this.#call.on('end', () => this.#refuse(gatewayErrors.unavailable))
    this.#deadline = setTimeout(() => {
      this.#refuse(gatewayErrors.timedOut)
      this.#call.cancel()
    }, options.timeoutMilliseconds)
    signal.addEventListener('abort', this.#abort, { once: true })
    if (signal.aborted) this.abort()
    else this.#send({ start: { ...start, serverEndPoint: Buffer.from(start.serverEndPoint) } })
  }

  next(): Promise<AuthStep> {
    const step = this.#steps.shift() ?? this.#final
    if (step !== undefined) return Promise.resolve(step)
    return new Promise((resolve) => {
      this.#waiting = resolve
    })
  }

  password(value: Uint8Array): void {
    this.#send({ password: value })
  }

  publicKey(proof: PublicKeyProof): void {
    this.#send({ publicKey: proof })
  }

  saslInitial(mechanism: string, response: Uint8Array): void {
    this.#send({ saslInitial: { mechanism, response } })
  }

  saslResponse(response: Uint8Array): void {
    this.#send({ saslResponse: response })
  }

  abort(): void {
    // Cancel first: a clean end would tell the control plane that the client had finished speaking.
    this.#call.cancel()
    this.#refuse(gatewayErrors.unavailable)
  }

  #send(request: OpenSessionRequest): void {
    if (this.#final === undefined) this.#call.write(request)
  }

  #receive(reply: OpenSessionReplyReceived): void {
    if (this.#final !== undefined) return
    if (reply.askPassword) this.#step({ kind: 'password' })
    else if (reply.askSasl) this.#step({ kind: 'sasl', mechanisms: reply.askSasl.mechanisms })
    else if (reply.saslContinue !== undefined) this.#step({ kind: 'sasl_continue', data: reply.saslContinue })
    else if (reply.granted) this.#finish({ kind: 'granted', granted: reply.granted })
    else if (reply.refused) this.#refuse(reply.refused)
    // A step that this version doesn't know: fail closed.
    else this.#refuse(gatewayErrors.unavailable)
  }

  #refuse(error: ChannelError): void {
    if (this.#final !== undefined) return
    if (!this.#signal.aborted) this.#onRefused(error.code)
    this.#finish({ kind: 'refused', error: { code: error.code, message: error.message, hint: error.hint } })
  }

  #step(step: AuthStep): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined) waiting(step)
    else if (this.#steps.length < MAX_WAITING_STEPS) this.#steps.push(step)
    else this.abort()
  }

  #finish(step: AuthStep): void {
    this.#final = step
    clearTimeout(this.#deadline)
    this.#signal.removeEventListener('abort', this.#abort)
    this.#call.end()
    // Steps that nobody took yet don't matter any more.
    this.#steps.length = 0
    this.#waiting?.(step)
    this.#waiting = undefined
  }
}
