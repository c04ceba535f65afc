import type { AgentEventBody } from './event.js'
import { SpoolError, type Spool } from './spool/spool.js'

interface Gap {
  first: number
  last: number
  from: string
  to: string
  reason: string
  readonly missing: Map<string, number>
}

/** Refusals that a best_effort session lives with. Not a spool whose numbers can't be trusted: it could never tell of the gap. */
const bearable: ReadonlySet<string> = new Set(['full', 'unwritable', 'too_large'])

/** Keeps count of what one best_effort session could not record, and writes it down as soon as that is possible. */
export class GapKeeper {
  #gap: Gap | undefined
  #watching = false

  /** @param onGap called when a gap begins */
  constructor(
    private readonly spool: Pick<Spool, 'append' | 'appendClosing' | 'room'>,
    private readonly session: string,
    private readonly onGap: (reason: string) => void = () => undefined,
  ) {}

  /**
   * Counts a record that the spool refused.
   * @returns false when the refusal is none to live with: what was to be recorded must not happen
   */
  missed(kind: AgentEventBody['kind'], command: number, error: unknown): boolean {
    if (!(error instanceof SpoolError) || !bearable.has(error.code)) return false
    const now = new Date().toISOString()
    if (this.#gap === undefined) this.onGap(error.code)
    const gap = (this.#gap ??= { first: command, last: command, from: now, to: now, reason: error.code, missing: new Map() })
    gap.first = Math.min(gap.first, command)
    gap.last = Math.max(gap.last, command)
    gap.to = now
    gap.missing.set(kind, (gap.missing.get(kind) ?? 0) + 1)
    if (!this.#watching) void this.#watch()
    return true
  }

  /** The session ends: its gap is written into the room that is kept for ends. */
  close(): void {
    this.#write(true)
  }

  async #watch(): Promise<void> {
    this.#watching = true
    while (this.#gap !== undefined && this.#write(false) === 'later') await this.spool.room()
    this.#watching = false
  }

  #write(closing: boolean): 'done' | 'later' | 'never' {
    const gap = this.#gap
    if (gap === undefined) return 'done'
    const event = {
      kind: 'gap', session: this.session, audit: 'best_effort', first_command: gap.first, last_command: gap.last,
      from: gap.from, to: gap.to, missing: Object.fromEntries(gap.missing), reason: gap.reason, certain: true,
    } as const
    try {
      if (closing) this.spool.appendClosing(event)
      else this.spool.append(event)
    } catch (error) {
      // A disk that failed takes nothing any more: the next start of the agent tells of the gap.
      return error instanceof SpoolError && error.code === 'full' ? 'later' : 'never'
    }
    this.#gap = undefined
    return 'done'
  }
}
