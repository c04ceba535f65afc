import type { ClientDuplexStream } from '@grpc/grpc-js'
import type { ControlPlaneStub, GatewayDownReceived, GatewayUp, HostKey } from '@sallyport/proto'
import type { Logger } from '@sallyport/telemetry'
import { Backoff } from './backoff.js'

export interface ControlLinkOptions {
  /** Asked for at every dial: its certificate is renewed now and then. */
  readonly client: () => ControlPlaneStub
  readonly version: string
  readonly instanceId: string
  /** Published by the control plane. Asked for at every dial. */
  readonly hostKeys: () => readonly HostKey[]
  readonly log: Logger
  /** The link is up (again): announce everything that the control plane has to know. */
  readonly onUp: () => void
  readonly onDown: () => void
  readonly onMessage: (message: GatewayDownReceived) => void
  readonly backoff?: Backoff
}

const WELCOME_MILLISECONDS = 10_000

/** This gateway's one stream to the control plane: kept up for the gateway's life, dialled again with back-off. */
export class ControlLink {
  readonly #options: ControlLinkOptions
  #waiting: (() => void)[] = []
  readonly #backoff: Backoff
  #call: ClientDuplexStream<GatewayUp, GatewayDownReceived> | undefined
  #connected = false
  #stopped = false
  #retry: NodeJS.Timeout | undefined

  constructor(options: ControlLinkOptions) {
    this.#options = options
    this.#backoff = options.backoff ?? new Backoff()
  }

  /** The control plane has welcomed us on the present stream. */
  get connected(): boolean {
    return this.#connected
  }

  start(): void {
    if (this.#stopped) return
    const { client, version, instanceId, hostKeys } = this.#options
    const call = client().link()
    this.#call = call
    let ended = false
    const end = (reason: string): void => {
      if (ended) return
      ended = true
      clearTimeout(welcome)
      call.cancel()
      if (this.#call === call) this.#lost(reason)
    }
    const welcome = setTimeout(() => end('no welcome'), WELCOME_MILLISECONDS)
    call.on('data', (message: GatewayDownReceived) => {
      if (ended) return
      if (message.welcome) {
        clearTimeout(welcome)
        this.#up()
      } else if (this.#connected) this.#options.onMessage(message)
    })
    call.on('error', (error) => end('details' in error && typeof error.details === 'string' ? error.details : error.message))
    call.on('end', () => end('ended by the control plane'))
    call.write({ hello: { version, instanceId, hostKeys: [...hostKeys()] } })
  }

  /** Resolves at the next welcome; at once when the link is up. */
  up(): Promise<void> {
    return this.#connected ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve))
  }

  /**
   * Sends, or returns false when the link is down. `sent` runs when the message has left this process's queue (or was
   * lost with the link).
   */
  send(message: GatewayUp, sent?: () => void): boolean {
    if (!this.#connected || this.#call === undefined) return false
    this.#call.write(message, () => sent?.())
    return true
  }

  /** Ends the stream and stays down. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#retry)
    this.#connected = false
    const call = this.#call
    this.#call = undefined
    call?.end()
    setTimeout(() => call?.cancel(), 1_000).unref()
  }

  #up(): void {
    if (this.#connected) return
    this.#connected = true
    this.#backoff.reset()
    this.#options.log.info({}, 'control plane connected')
    this.#options.onUp()
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #lost(reason: string): void {
    const was = this.#connected
    this.#connected = false
    this.#call = undefined
    if (was) this.#options.onDown()
    if (this.#stopped) return
    const wait = this.#backoff.next()
    this.#options.log.warn({ reason, retry_milliseconds: wait }, 'control plane lost')
    this.#retry = setTimeout(() => this.start(), wait)
  }
}
