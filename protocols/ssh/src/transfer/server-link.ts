import type { Batch } from './batch.js'
import { TransferProtocolError, encodePacket, parseReply, withId, type Reply } from './sftp-codec.js'

type ReplyKind = Reply['kind']

interface Outstanding {
  readonly accepts: readonly ReplyKind[]
  readonly onReply: (reply: Reply, frame: Buffer) => void
  readonly onEnd: () => void
}

/** The channel ended before the server answered. */
export class LinkEndedError extends Error {
  override readonly name = 'LinkEndedError'
}

/**
 * Requests that are at the server. Client and filter share one id space there: a request whose id is taken goes under another,
 * so that an answer can't be taken for that to another request, whatever ids a client chooses.
 */
export class ServerLink {
  readonly #out: Batch
  readonly #outstanding = new Map<number, Outstanding>()
  /** Counts down: clients count up, so a client's id hardly ever has to be changed. */
  #next = 0xffffffff
  #ended = false

  constructor(out: Batch) {
    this.#out = out
  }

  get size(): number {
    return this.#outstanding.size
  }

  /** Sends a client's request; `onReply` gets the answer, with the id that the client knows. */
  forward(frame: Buffer, accepts: readonly ReplyKind[], onReply: (reply: Reply, frame: Buffer) => void): void {
    const clientId = frame.readUInt32BE(5)
    const id = this.#outstanding.has(clientId) ? this.#freeId() : clientId
    this.#outstanding.set(id, { accepts, onReply: (reply, answer) => onReply(reply, withId(answer, clientId)), onEnd: nothing })
    this.#out.add(withId(frame, id))
  }

  /** A request of the filter's own, in order with the client's. */
  query(frame: (id: number) => Buffer, accepts: readonly ReplyKind[], onReply: (reply: Reply) => void, onEnd: () => void = nothing): void {
    if (this.#ended) return onEnd()
    const id = this.#freeId()
    this.#outstanding.set(id, { accepts, onReply, onEnd })
    this.#out.add(frame(id))
  }

  /**
   * A request of the filter's own that somebody waits for.
   * @throws {LinkEndedError} when the channel ends first
   */
  async ask(type: number, fields: readonly (Buffer | number)[], accepts: readonly ReplyKind[]): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const onEnd = () => reject(new LinkEndedError('the channel ended'))
      this.query((id) => encodePacket(type, id, fields), accepts, resolve, onEnd)
      // Asked between two turns, when nobody else flushes.
      this.#out.flush()
    })
  }

  /** @throws {TransferProtocolError} on an answer that nothing asked for, or that doesn't fit the question */
  receive(frame: Buffer): void {
    const reply = parseReply(frame)
    const asked = this.#outstanding.get(reply.id)
    if (asked === undefined) throw new TransferProtocolError('the SFTP server answered what was not asked')
    this.#outstanding.delete(reply.id)
    if (reply.kind !== 'status' && !asked.accepts.includes(reply.kind)) {
      asked.onEnd()
      throw new TransferProtocolError(`the SFTP server's answer does not fit the request: ${reply.kind}`)
    }
    asked.onReply(reply, frame)
  }

  end(): void {
    this.#ended = true
    const asked = [...this.#outstanding.values()]
    this.#outstanding.clear()
    for (const each of asked) each.onEnd()
  }

  #freeId(): number {
    while (this.#outstanding.has(this.#next)) this.#step()
    const id = this.#next
    this.#step()
    return id
  }

  #step(): void {
    this.#next = this.#next === 0 ? 0xffffffff : this.#next - 1
  }
}

function nothing(): void {}
