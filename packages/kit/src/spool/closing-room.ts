import type { AgentEventBody } from '../event.js'
import type { Unfinished } from './recovery.js'

/**
 * Most that an open command may still have to write when there is no room: its {@link shortened} end (under 700 bytes), the end of
 * its recording (under 400), and its session's head in a signature (150).
 */
const bytesPerCommand = 1300
/** Of a session: its gap, its shortened end, and the signature behind it with the session's head. */
const bytesPerSession = 3000
/** UTF-16 units of a text in a shortened record: at most six bytes each, as JSON. */
const shortText = 24

/** What was begun and has no end on record yet, and how many bytes the ends may need. */
export class ClosingRoom {
  readonly #open = new Map<string, Set<number>>()
  #commands = 0

  constructor(recovered: readonly Unfinished[]) {
    for (const { session, commands } of recovered) {
      this.#open.set(session, new Set(commands))
      this.#commands += commands.length
    }
  }

  /** Bytes that must stay free for the ends of everything that is open. */
  get bytes(): number {
    return this.#commands * bytesPerCommand + this.#open.size * bytesPerSession
  }

  /** An event stands in the spool. */
  follow(event: AgentEventBody): void {
    switch (event.kind) {
      case 'session.start':
        if (!this.#open.has(event.session)) this.#open.set(event.session, new Set())
        return
      case 'command':
        if (event.decision.verdict !== 'deny') this.#begin(event.session, event.command)
        return
      case 'command.released':
        if (event.verdict !== 'approved') this.#end(event.session, event.command)
        return
      case 'command.end':
        this.#end(event.session, event.command)
        return
      case 'session.end':
        this.#commands -= this.#open.get(event.session)?.size ?? 0
        this.#open.delete(event.session)
        return
      default:
        return
    }
  }

  #begin(session: string, command: number): void {
    const commands = this.#open.get(session) ?? new Set<number>()
    this.#open.set(session, commands)
    if (commands.has(command)) return
    commands.add(command)
    this.#commands += 1
  }

  #end(session: string, command: number): void {
    if (this.#open.get(session)?.delete(command) === true) this.#commands -= 1
  }
}

/** Of a record that closes something, what always has room: which one, how it ended, and its figures. */
export function shortened(event: AgentEventBody): AgentEventBody {
  switch (event.kind) {
    case 'command.end': {
      const { result_bytes: resultBytes, result_sha256: _digest, tag, error_code: code, error_message: message, ...rest } = event
      return {
        ...rest,
        ...(tag === undefined ? {} : { tag: tag.slice(0, shortText) }),
        ...(code === undefined ? {} : { error_code: code.slice(0, shortText) }),
        ...(resultBytes === undefined && message === undefined ? {} : { shortened: true as const }),
      }
    }
    case 'session.end': {
      const { detail, reason, ...rest } = event
      return { ...rest, reason: reason.slice(0, shortText), ...(detail === undefined ? {} : { detail: detail.slice(0, shortText) }) }
    }
    case 'command.released':
      return { ...event, reviewers: event.reviewers.slice(0, 2).map((name) => name.slice(0, shortText)), reason: event.reason.slice(0, shortText) }
    default:
      return event
  }
}
