import type { Hold, SubmitOptions } from '@sallyport/kit'
import { decodeBind, decodeExecute, decodeNamedObject, decodeParse, decodeQuery, frontend, ProtocolError, requireEmpty } from '../codec/index.js'
import type { Conversation } from './conversation.js'
import type { Run } from './expected.js'
import { ExtendedQuery } from './extended-query.js'
import { NameGate } from './name-gate.js'
import { SimpleQuery } from './simple-query.js'
import { checkName } from './target-link.js'

/** Tells the client that a statement waits, and lets it cancel. */
export interface HoldTeller {
  begin(): Hold
}

/**
 * Handles what the client sends, one message at a time. A handler that returns a promise holds back everything behind
 * it. State × message, in the order in which they are asked:
 *
 * | state    | Q P B E            | D C       | S                 | H       | d c f   | F      | X   | other |
 * |----------|--------------------|-----------|-------------------|---------|---------|--------|-----|-------|
 * | skipping | dropped            | dropped   | forwarded, normal | dropped | dropped | dropped| end | fatal |
 * | copy in  | fatal              | fatal     | dropped           | dropped | forward | fatal  | end | fatal |
 * | normal   | decided            | forwarded | forwarded         | forward | dropped | denied | end | fatal |
 */
export class ClientSide {
  readonly #c: Conversation
  readonly #end: () => void
  readonly #simple: SimpleQuery
  readonly #extended: ExtendedQuery

  constructor(conversation: Conversation, holds: HoldTeller, end: () => void) {
    this.#c = conversation
    this.#end = end
    const gate = new NameGate(conversation)
    const options: SubmitOptions = { hold: () => holds.begin() }
    this.#simple = new SimpleQuery(conversation, gate, options)
    this.#extended = new ExtendedQuery(conversation, gate, options)
  }

  /** @throws {ProtocolError} when the message can't be spoken here */
  handle(type: number, buffer: Buffer, start: number, end: number): Promise<void> | undefined {
    const c = this.#c
    if (type === frontend.terminate) {
      this.#end()
      return undefined
    }
    if (type === frontend.password) throw new ProtocolError('authentication message after login')
    if (c.copyIn) return this.#copyIn(type, c.copyIn, buffer, start, end)
    if (c.skipping && type !== frontend.sync) return undefined
    switch (type) {
      case frontend.query:
        return this.#simple.query(decodeQuery(buffer, start, end), buffer.subarray(start, end))
      case frontend.parse:
        return this.#extended.parse(decodeParse(buffer, start, end), buffer.subarray(start, end))
      case frontend.bind:
        return this.#extended.bind(decodeBind(buffer, start, end), buffer.subarray(start, end))
      case frontend.execute:
        return this.#extended.execute(decodeExecute(buffer, start, end).portal, buffer.subarray(start, end))
      case frontend.describe: {
        const { kind, name } = decodeNamedObject(buffer, start, end)
        return this.#extended.describe(kind, name)
      }
      case frontend.close: {
        const { kind, name } = decodeNamedObject(buffer, start, end)
        checkName(name)
        c.link.close(kind, name)
        c.expected.push({ kind: 'close', of: kind, name })
        c.openBatch = true
        return undefined
      }
      case frontend.sync:
        requireEmpty(buffer, start, end)
        c.link.sync()
        c.expected.push({ kind: 'sync' })
        c.openBatch = false
        c.skipping = false
        return undefined
      case frontend.flush:
        requireEmpty(buffer, start, end)
        c.link.flush()
        return undefined
      case frontend.copyData:
      case frontend.copyDone:
      case frontend.copyFail:
        // As the server does: what is left of a COPY that has failed is thrown away.
        return undefined
      case frontend.functionCall:
        return this.#simple.functionCall()
      default:
        throw new ProtocolError(`invalid frontend message type ${type}`)
    }
  }

  #copyIn(type: number, run: Run, buffer: Buffer, start: number, end: number): undefined {
    const c = this.#c
    switch (type) {
      case frontend.copyData:
        run.bytes += end - start - 5
        c.link.copy(run.permit, buffer.subarray(start, end))
        return undefined
      case frontend.copyDone:
      case frontend.copyFail:
        c.copyIn = undefined
        c.link.copy(run.permit, buffer.subarray(start, end))
        return undefined
      case frontend.sync:
      case frontend.flush:
        // Ignored by the server in copy mode: libpq sends them before it knows that the command is a COPY.
        return undefined
      default:
        throw new ProtocolError(`unexpected message type 0x${type.toString(16)} during COPY from stdin`)
    }
  }
}
