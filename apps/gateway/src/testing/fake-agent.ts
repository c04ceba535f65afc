import { randomUUID } from 'node:crypto'
import type { ClientDuplexStream } from '@grpc/grpc-js'
import { linkChannelOptions, type NodeIdentity } from '@sallyport/node-identity'
import { TunnelClient, type OpenChannelReceived, type TunnelDownReceived, type TunnelUp } from '@sallyport/proto'
import { FrameMux, StreamSink, type TunnelChannel } from '@sallyport/tunnel'

export interface ServedChannel {
  readonly channel: TunnelChannel
  readonly open: OpenChannelReceived
  readonly signals: string[]
  closed: string | undefined
}

/** An agent that echoes, unless a test takes the channel over. */
export class FakeAgent {
  readonly served: ServedChannel[] = []
  readonly links: string[] = []
  ended: string | undefined
  welcome: { accepted: boolean; reason: string } | undefined
  readonly call: ClientDuplexStream<TunnelUp, TunnelDownReceived>
  readonly mux: FrameMux
  #client: InstanceType<typeof TunnelClient>
  #settle: (() => void)[] = []

  constructor(
    port: number,
    readonly identity: NodeIdentity,
    readonly serve: (served: ServedChannel) => void = echo,
    readonly instanceId: string = randomUUID(),
  ) {
    this.#client = new TunnelClient(`127.0.0.1:${port}`, identity.channelCredentials('gateway'), linkChannelOptions)
    this.call = this.#client.connect()
    const sink = new StreamSink(
      (frames, done) => this.call.write({ frames: { frames: [...frames] } }, () => done()),
      () => this.mux.drained(),
    )
    this.mux = new FrameMux(sink, {
      onOpen: (channel, open) => {
        const served: ServedChannel = { channel, open, signals: [], closed: undefined }
        channel.onSignal((payload) => served.signals.push(payload.toString()))
        this.served.push(served)
        this.serve(served)
      },
    })
    this.call.on('data', (message: TunnelDownReceived) => {
      if (message.welcome) this.welcome = message.welcome
      if (message.link) this.links.push(message.link.toString())
      if (message.frames) this.mux.receive(message.frames.frames)
      this.#changed()
    })
    const end = (why: string): void => {
      this.ended ??= why
      this.mux.fail()
      this.#changed()
    }
    this.call.on('error', (error) => end(error.message))
    this.call.on('end', () => end('end'))
    this.call.write({ hello: { instanceId, version: 'test', protocols: ['echo'] } })
  }

  /** Resolves at the welcome (either way) or the end. */
  async settled(): Promise<this> {
    while (this.welcome === undefined && this.ended === undefined) await new Promise<void>((resolve) => this.#settle.push(resolve))
    return this
  }

  kill(): void {
    this.call.cancel()
    this.#client.close()
  }

  #changed(): void {
    for (const resolve of this.#settle.splice(0)) resolve()
  }
}

export function echo(served: ServedChannel): void {
  const { channel } = served
  channel.start({
    onData: (bytes) => {
      channel.write(bytes)
      channel.consumed(bytes.length)
    },
    onEnd: () => channel.end(),
    onClose: (error) => {
      served.closed = error?.code ?? 'closed'
    },
  })
}
