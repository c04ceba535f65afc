import { randomInt } from 'node:crypto'
import type { ChannelCredentials, ClientDuplexStream } from '@grpc/grpc-js'
import { TunnelClient, type TunnelDownReceived, type TunnelUp } from '@sallyport/proto'
import { FrameMux, StreamSink, type TunnelChannel } from '@sallyport/tunnel'
import type { Logger } from '@sallyport/telemetry'
import type { ControlLink, LinkTransport } from '../control/control-link.js'

const firstDelayMilliseconds = 200
const maxDelayMilliseconds = 5000
const welcomeMilliseconds = 10_000
const maxMessageBytes = 4 * 1024 * 1024

export interface GatewayConnectionOptions {
  readonly address: string
  /** Asked for at every dial: the certificate may have been renewed. */
  readonly credentials: () => ChannelCredentials
  readonly instanceId: string
  readonly version: string
  readonly protocols: readonly string[]
  readonly link: ControlLink
  readonly onChannel: (channel: TunnelChannel, open: { sessionId: string; grant: string; parameters: Record<string, string> }) => void
  readonly log: Logger
}

/** The agent's stream to one gateway: dials out, says who it is, and dials again with growing, jittered pauses when it breaks. */
export class GatewayConnection {
  readonly #o: GatewayConnectionOptions
  #call: ClientDuplexStream<TunnelUp, TunnelDownReceived> | undefined
  #stopped = false
  #connected = false
  #attempts = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: GatewayConnectionOptions) {
    this.#o = options
  }

  get connected(): boolean {
    return this.#connected
  }

  start(): void {
    if (this.#stopped) return
    const client = new TunnelClient(this.#o.address, this.#o.credentials(), {
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      'grpc.keepalive_permit_without_calls': 1,
      // A channel of its own per connection: no hidden reconnects beside ours.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      // The certificate is checked for its role, not its name; TLS wants a name all the same, and no address.
      'grpc.ssl_target_name_override': 'gateway.sallyport.internal',
    })
    const call = client.connect()
    this.#call = call
    const mux: FrameMux = new FrameMux(
      new StreamSink((frames, done) => call.write({ frames: { frames: [...frames] } }, done), () => mux.drained()),
      {
        onOpen: (channel, open) => this.#o.onChannel(channel, open),
        onReaderError: (error) => this.#o.log.warn({ error_name: error instanceof Error ? error.name : 'unknown' }, 'session reader failed'),
      },
    )
    let counter = 0
    const transport: LinkTransport = {
      send: (message) => {
        if (!this.#connected) return false
        call.write({ link: message })
        return true
      },
      nextCounter: () => (counter += 1),
    }
    const welcome = setTimeout(() => call.cancel(), welcomeMilliseconds)
    let over = false
    const ended = (reason: string): void => {
      if (over) return
      over = true
      clearTimeout(welcome)
      this.#connected = false
      this.#o.link.detach(transport)
      mux.fail()
      client.close()
      if (!this.#stopped) this.#again(reason)
    }
    call.on('data', (message: TunnelDownReceived) => {
      if (message.welcome) {
        clearTimeout(welcome)
        if (!message.welcome.accepted) {
          this.#o.log.error({ gateway: this.#o.address, reason: message.welcome.reason }, 'gateway refused this agent')
          call.cancel()
          return
        }
        this.#connected = true
        this.#attempts = 0
        this.#o.log.info({ gateway: this.#o.address, gateway_id: message.welcome.gatewayId }, 'connected to gateway')
        this.#o.link.attach(transport)
      } else if (!this.#connected) call.cancel()
      else if (message.frames) mux.receive(message.frames.frames)
      else if (message.link) void this.#o.link.receive(message.link)
    })
    call.on('error', (error) => ended(String('code' in error ? error.code : error.name)))
    call.on('end', () => ended('end'))
    call.on('close', () => ended('close'))
    call.write({ hello: { instanceId: this.#o.instanceId, version: this.#o.version, protocols: [...this.#o.protocols] } })
  }

  /** Tells the gateway that no new session is welcome. */
  draining(): void {
    if (this.#connected) this.#call?.write({ draining: {} })
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#call?.end()
    const call = this.#call
    setTimeout(() => call?.cancel(), 500).unref()
  }

  #again(reason: string): void {
    const ceiling = Math.min(maxDelayMilliseconds, firstDelayMilliseconds * 2 ** Math.min(this.#attempts, 10))
    this.#attempts += 1
    // Full jitter: a gateway that comes back isn't met by all its agents at once.
    const delay = randomInt(Math.ceil(ceiling / 4), ceiling + 1)
    this.#o.log.warn({ gateway: this.#o.address, reason, retry_ms: delay }, 'connection to gateway lost')
    this.#timer = setTimeout(() => this.start(), delay)
  }
}
