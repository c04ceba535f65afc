import type { ByteChannel, HeldNotice, Hold } from '@sallyport/kit'
import { encodeError } from '../codec/index.js'
import type { HoldTeller } from './client-side.js'

/** The statement that waits for approval, at most one: it holds back everything behind it. */
export class Holds implements HoldTeller {
  #current: AbortController | undefined

  constructor(readonly client: ByteChannel) {}

  begin(): Hold {
    const controller = new AbortController()
    this.#current = controller
    return {
      signal: controller.signal,
      onHeld: (notice) => this.client.write(heldNotice(notice)),
      release: () => {
        if (this.#current === controller) this.#current = undefined
      },
    }
  }

  /** Cancels the waiting statement. False when none waits. */
  cancel(): boolean {
    if (!this.#current) return false
    this.#current.abort()
    this.#current = undefined
    return true
  }
}

/** Sent while the statement waits (a NOTICE may come at any time: PostgreSQL protocol, "Asynchronous Operations"). */
function heldNotice(notice: HeldNotice): Buffer {
  const minutes = Math.ceil(notice.timeoutSeconds / 60)
  const wait = notice.timeoutSeconds < 120 ? `${notice.timeoutSeconds} s` : `${minutes} min`
  return encodeError({
    severity: 'NOTICE',
    sqlstate: '01000',
    message: `Sallyport: this statement waits for approval by ${notice.groups.join(', ') || 'a reviewer'} (up to ${wait}): ${notice.url}`,
    detail: `Rule: ${notice.rule}. Approval: ${notice.approval}`,
    hint: 'Nothing has run yet. Keep the connection open; cancel to withdraw.',
  })
}
