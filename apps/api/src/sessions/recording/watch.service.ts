import { setTimeout as pause } from 'node:timers/promises'
import { Injectable } from '@nestjs/common'
import { RecordingsRepository, type LiveRow } from '../../audit/recordings.repository.js'
import { Problem } from '../../problem/problem.js'
import type { SessionRow } from '../sessions.service.js'
import { SessionsService } from '../sessions.service.js'

const pollMilliseconds = 200
/** How often the session itself is looked at, and the watcher shown that the connection stands. */
const headMilliseconds = 1000
/** The agent of a session that was killed has this long to tell its last words. */
const lastWordsMilliseconds = 5000
/** Then the watcher asks again, with its cursor, and is authorised and recorded again. */
const maxWatchMilliseconds = 5 * 60_000
const maxWatchers = 64
const maxWatchersOfOne = 8

/** Follows what sessions show while they run. */
@Injectable()
export class WatchService {
  readonly #watchers = new Map<string, number>()

  constructor(
    private readonly recordings: RecordingsRepository,
    private readonly sessions: SessionsService,
  ) {}

  /**
   * The session's events after `cursor` and from then on those that come, as server-sent events: `event` with a line of the
   * session's record, `end` when the session is over and all has been said. Read no faster than it is taken.
   * @throws {Problem} 429 when too many watch
   */
  watch(session: SessionRow, user: string, cursor: bigint): AsyncGenerator<string> {
    const own = this.#watchers.get(user) ?? 0
    const all = [...this.#watchers.values()].reduce((sum, count) => sum + count, 0)
    if (own >= maxWatchersOfOne || all >= maxWatchers) {
      throw new Problem(429, 'TOO_MANY_WATCHERS', 'Too many sessions are being watched.', { hint: 'End another watch, or try again later.' })
    }
    return this.#follow(session, user, cursor)
  }

  async *#follow(session: SessionRow, user: string, cursor: bigint): AsyncGenerator<string> {
    this.#watchers.set(user, (this.#watchers.get(user) ?? 0) + 1)
    try {
      yield ': watching\n\n'
      yield* this.#events(session.id, cursor)
    } finally {
      const left = (this.#watchers.get(user) ?? 1) - 1
      if (left > 0) this.#watchers.set(user, left)
      else this.#watchers.delete(user)
    }
  }

  async *#events(id: string, from: bigint): AsyncGenerator<string> {
    const until = Date.now() + maxWatchMilliseconds
    let position = from
    let lookedAt = 0
    while (Date.now() < until) {
      // Before the events are read, so that none of its last ones is missed.
      const reason = Date.now() - lookedAt >= headMilliseconds ? await this.#endOf(id) : undefined
      if (Date.now() - lookedAt >= headMilliseconds) {
        lookedAt = Date.now()
        yield ': \n\n'
      }
      for (;;) {
        const rows = await this.recordings.after(id, position)
        const last = rows.at(-1)
        if (last === undefined) break
        position = last.position
        for (const row of rows) yield eventText(row)
      }
      if (reason !== undefined) {
        yield `event: end\ndata: ${JSON.stringify({ kind: 'end', reason })}\n\n`
        return
      }
      await pause(pollMilliseconds)
    }
  }

  /** Why the session is over; undefined while more of it may come. */
  async #endOf(id: string): Promise<string | undefined> {
    const session = await this.sessions.get(id)
    if (!session) return 'unknown'
    if (session.endedAt) return session.endReason ?? 'ended'
    const now = Date.now()
    if (session.killedAt && now - session.killedAt.getTime() > lastWordsMilliseconds) return session.endReason ?? 'killed'
    return now - session.expiresAt.getTime() > lastWordsMilliseconds ? 'expired' : undefined
  }
}

function eventText({ position, kind, command, sourceSeq, time, body }: LiveRow): string {
  const item = { position: String(position), time, kind, ...(sourceSeq === null ? {} : { seq: String(sourceSeq) }), ...(command === null ? {} : { command }), event: eventOf(body) }
  return `id: ${position}\ndata: ${JSON.stringify(item)}\n\n`
}

/** A body that someone broke in the database must not break the watch; verify names it. */
function eventOf(body: string): unknown {
  try {
    const parsed: unknown = JSON.parse(body)
    return typeof parsed === 'object' && parsed !== null && 'event' in parsed ? parsed.event : {}
  } catch {
    return {}
  }
}
