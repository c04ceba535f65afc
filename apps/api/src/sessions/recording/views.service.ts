import { Injectable } from '@nestjs/common'
import { EventsService } from '../../audit/events.service.js'
import type { SessionViewed } from '../../audit/events.js'

export type View = Omit<SessionViewed, 'kind'>

/** A replay is read page by page: one event for all pages that are asked for within this time. */
const sameViewMilliseconds = 60_000
const maxRemembered = 10_000

/** Records who looks at recordings. */
@Injectable()
export class ViewsService {
  readonly #replays = new Map<string, number>()

  constructor(private readonly events: EventsService) {}

  /** @throws {AuditUnavailableError} nothing may be shown then */
  async record(view: View): Promise<void> {
    const key = JSON.stringify(view)
    const now = Date.now()
    if (view.how === 'replay' && now - (this.#replays.get(key) ?? 0) < sameViewMilliseconds) return
    await this.events.append({ kind: 'session.viewed', ...view })
    if (view.how !== 'replay') return
    if (this.#replays.size >= maxRemembered) this.#replays.clear()
    this.#replays.set(key, now)
  }
}
