import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common'
import { Client } from 'pg'
import { DATABASE_URL } from '../database/database-url.js'
import { PrismaService } from '../database/prisma.service.js'

export type NotifyHandler = (payload: string) => void

/** PostgreSQL cuts a notification at 8000 bytes. */
const maxPayloadBytes = 7900
const channelName = /^[a-z][a-z0-9_]{0,62}$/

/**
 * LISTEN/NOTIFY between the replicas of the control plane, over one connection of its own. A notification may be lost while
 * that connection is down: `onReconnect` handlers then read afresh what they follow.
 */
@Injectable()
export class NotifyService implements OnModuleInit, OnApplicationShutdown {
  readonly #log = new Logger(NotifyService.name)
  readonly #handlers = new Map<string, Set<NotifyHandler>>()
  readonly #onReconnect = new Set<() => void>()
  #client: Client | undefined
  #stopped = false
  #retry: NodeJS.Timeout | undefined

  constructor(
    @Inject(DATABASE_URL) private readonly url: string,
    private readonly prisma: PrismaService,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.#connect()
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#retry)
    await this.#client?.end().catch(() => undefined)
  }

  /** Tells every replica, this one included. @throws RangeError when the payload is too long */
  async publish(channel: string, payload: string): Promise<void> {
    if (Buffer.byteLength(payload) > maxPayloadBytes) throw new RangeError('the notification is too long')
    await this.prisma.$executeRaw`SELECT pg_notify(${channel}, ${payload})`
  }

  /** Returns what ends the subscription. */
  subscribe(channel: string, handler: NotifyHandler): () => void {
    if (!channelName.test(channel)) throw new RangeError('not a channel name')
    const handlers = this.#handlers.get(channel) ?? new Set()
    const first = handlers.size === 0
    handlers.add(handler)
    this.#handlers.set(channel, handlers)
    // Before the connection stands, #connect listens to all channels known by then.
    if (first) this.#client?.query(`LISTEN ${channel}`).catch(() => undefined)
    return () => handlers.delete(handler)
  }

  /** Called when the connection was lost and stands again. */
  onReconnect(handler: () => void): void {
    this.#onReconnect.add(handler)
  }

  async #connect(): Promise<void> {
    const client = new Client({ connectionString: this.url, keepAlive: true, application_name: 'sallyport-notify' })
    client.on('notification', ({ channel, payload }) => this.#dispatch(channel, payload ?? ''))
    let lost = false
    const onLost = (): void => {
      if (lost) return
      lost = true
      if (this.#client === client) this.#client = undefined
      this.#reconnectSoon()
    }
    client.on('error', onLost)
    client.on('end', onLost)
    await client.connect()
    for (const channel of this.#handlers.keys()) await client.query(`LISTEN ${channel}`)
    this.#client = client
    // A channel subscribed to while the loop above awaited.
    for (const channel of this.#handlers.keys()) await client.query(`LISTEN ${channel}`)
  }

  #reconnectSoon(): void {
    if (this.#stopped) return
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => {
      this.#connect().then(
        () => {
          for (const handler of this.#onReconnect) handler()
        },
        () => {
          this.#log.warn({ message: 'notifications are down: the database cannot be reached' })
          this.#reconnectSoon()
        },
      )
    }, 1000)
    this.#retry.unref()
  }

  #dispatch(channel: string, payload: string): void {
    for (const handler of this.#handlers.get(channel) ?? []) {
      try {
        handler(payload)
      } catch (error) {
        this.#log.warn({ message: 'a notification handler failed', channel, error: error instanceof Error ? error.name : '' })
      }
    }
  }
}
