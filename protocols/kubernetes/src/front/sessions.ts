import { createHash } from 'node:crypto'
import type { AuthConversation, ChannelError, SessionBroker, SessionGranted } from '@sallyport/kit'
import { SessionLink } from './session-link.js'

/** How long a session waits for the next connection of a client that has closed its last one. */
const graceMilliseconds = 2000
/** Connections by which one session is used at a time; kubectl needs one, a busy client library a few. */
const maxConnections = 64

/** What a request shows. */
export interface Presented {
  readonly token: string
  readonly target: string
  readonly clientAddress: string
  readonly userAgent: string
  readonly serverEndPoint: Uint8Array
}

/** The control plane or the gateway refuses. The text is for the client. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly code: string
  readonly hint: string
  constructor(error: ChannelError) {
    super(error.message)
    this.code = error.code
    this.hint = error.hint
  }
}

interface Entry {
  readonly key: string
  readonly link: Promise<SessionLink>
  /** NumericDate after which the token proves nothing any more. */
  expires: number
  readonly connections: Set<object>
  readonly abort: AbortController
  grace: NodeJS.Timeout | undefined
}

/**
 * Sessions by what proves them: one for each token, target and client host. A token that is shown again is compared by its
 * hash with one that the control plane has verified, and only while that proof has not expired; any other is asked about.
 */
export class Sessions {
  readonly #entries = new Map<string, Entry>()
  /** Those with a session, also when their proof has expired and nothing new is asked in them. */
  readonly #open = new Set<Entry>()

  constructor(private readonly broker: SessionBroker) {}

  /**
   * The session of what was presented, opened if there is none.
   * @param connection who uses it; {@link release} takes it back
   * @throws {RefusedError}
   */
  async find(presented: Presented, connection: object): Promise<SessionLink> {
    const key = keyOf(presented)
    for (;;) {
      const entry = this.#entries.get(key) ?? this.#begin(key, presented)
      if (Date.now() / 1000 >= entry.expires) {
        // It may go on for what was begun, but nothing more is asked with this proof.
        if (this.#entries.get(key) === entry) this.#entries.delete(key)
        continue
      }
      clearTimeout(entry.grace)
      if (entry.connections.size >= maxConnections && !entry.connections.has(connection)) throw tooManyConnections()
      entry.connections.add(connection)
      return entry.link
    }
  }

  /** The connection is closed. */
  release(connection: object): void {
    for (const entry of this.#open) {
      if (!entry.connections.delete(connection) || entry.connections.size > 0) continue
      entry.grace = setTimeout(() => this.#end(entry), graceMilliseconds).unref()
    }
  }

  #begin(key: string, presented: Presented): Entry {
    const abort = new AbortController()
    const link = this.#connect(presented, abort.signal, (expires) => {
      entry.expires = expires
    }, () => this.#forget(entry))
    const entry: Entry = { key, link, expires: Infinity, connections: new Set(), abort, grace: undefined }
    this.#entries.set(key, entry)
    this.#open.add(entry)
    link.catch(() => this.#forget(entry))
    return entry
  }

  #end(entry: Entry): void {
    this.#forget(entry)
    entry.abort.abort()
    void entry.link.then((link) => link.close(), () => undefined)
  }

  #forget(entry: Entry): void {
    this.#open.delete(entry)
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key)
  }

  async #connect(presented: Presented, signal: AbortSignal, onGranted: (expires: number) => void, onOver: () => void): Promise<SessionLink> {
    const { token, target, clientAddress, serverEndPoint, userAgent } = presented
    const credential = splitCredential(token)
    const parameters = { target, ...(userAgent === '' ? {} : { application_name: userAgent.slice(0, 200) }) }
    const conversation = this.broker.authenticate(
      { protocol: 'kubernetes', user: credential?.username ?? target, parameters, clientAddress, serverEndPoint, bearer: true },
      signal,
    )
    try {
      const granted = await converse(conversation, credential?.secret ?? token)
      const session = await this.broker.open(granted, parameters, signal).catch((error: unknown) => {
        throw new RefusedError(isChannelError(error) ? error : { code: 'UNAVAILABLE', message: 'internal error in the gateway', hint: 'Tell your platform team.' })
      })
      onGranted(granted.proofExpires)
      return new SessionLink(session, onOver)
    } finally {
      conversation.abort()
    }
  }
}

const tooManyConnections = (): RefusedError => new RefusedError({ code: 'RATE_LIMITED', message: `this credential has ${maxConnections} connections to the target open already`, hint: 'Close some, or use connections again.' })

async function converse(conversation: AuthConversation, secret: string): Promise<SessionGranted> {
  for (let asked = false; ; ) {
    const step = await conversation.next()
    if (step.kind === 'granted') return step.granted
    if (step.kind === 'refused') throw new RefusedError(step.error)
    if (step.kind !== 'password' || asked) throw new RefusedError({ code: 'UNAVAILABLE', message: 'gateway and control plane do not agree on how to authenticate', hint: 'Tell your platform team.' })
    asked = true
    conversation.password(Buffer.from(secret))
  }
}

/**
 * A JIT credential as one string: user name, dot, secret; and what `sallyport` may add behind another dot so that each
 * run of a client is a session of its own. A token of an identity provider never looks like it.
 */
function splitCredential(token: string): { username: string; secret: string } | undefined {
  const match = /^(jit-[a-z0-9]{22,64})\.(spc_[A-Za-z0-9_-]{20,128})(?:\.[a-z0-9]{1,32})?$/.exec(token)
  return match?.[1] !== undefined && match[2] !== undefined ? { username: match[1], secret: match[2] } : undefined
}

/** The token itself is kept nowhere. */
function keyOf({ token, target, clientAddress }: Presented): string {
  return createHash('sha256').update('sallyport-bearer\0').update(`${target}\0${clientAddress}\0`).update(token).digest('base64')
}

function isChannelError(error: unknown): error is Error & ChannelError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'hint' in error && typeof error.hint === 'string'
}
