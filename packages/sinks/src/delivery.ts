import type { ShapedRecord } from './shape.js'

/** A record that the receiver refuses for what it is. */
export interface Rejected {
  readonly record: ShapedRecord
  /** Stable, such as `HTTP_400`. */
  readonly code: string
  readonly reason: string
  /** True when we know ourselves that it can't be sent (too large for the transport): no other record has to prove that the receiver works. */
  readonly certain?: true
}

/** One receiver. `send` resolves when it has acknowledged the batch; records that it refused one by one are in the result. */
export interface Sender {
  /** @throws {DeliveryError} */
  send(batch: readonly ShapedRecord[], signal: AbortSignal): Promise<readonly Rejected[]>
  close(): Promise<void>
}

/**
 * A batch wasn't acknowledged. `unavailable`: try again later, with the same records. `rejected`: the receiver says that
 * something in the batch is wrong; which record it is shows when it is sent in halves. Messages hold no secret and nothing of events.
 */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError'
  constructor(
    readonly kind: 'unavailable' | 'rejected',
    readonly code: string,
    message: string,
    /** Milliseconds that the receiver asked us to wait. */
    readonly retryAfterMs?: number,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** What became of a batch: of its first `settled` records each is acknowledged or in `rejected`. */
export interface Outcome {
  readonly settled: number
  readonly accepted: number
  readonly rejected: readonly Rejected[]
  /** Why the rest was not settled. */
  readonly failure?: DeliveryError
}

/** Sends a batch in order; one that is rejected is halved until the records at fault stand alone. Never throws. */
export async function deliver(batch: readonly ShapedRecord[], sender: Sender, signal: AbortSignal): Promise<Outcome> {
  if (batch.length === 0) return { settled: 0, accepted: 0, rejected: [] }
  try {
    const rejected = await sender.send(batch, signal)
    return { settled: batch.length, accepted: batch.length - rejected.length, rejected }
  } catch (error) {
    const failure = asDeliveryError(error)
    const [only] = batch
    if (failure.kind !== 'rejected' || only === undefined) return { settled: 0, accepted: 0, rejected: [], failure }
    if (batch.length === 1) return { settled: 1, accepted: 0, rejected: [{ record: only, code: failure.code, reason: failure.message }] }
    const half = Math.ceil(batch.length / 2)
    const first = await deliver(batch.slice(0, half), sender, signal)
    if (first.failure) return first
    const second = await deliver(batch.slice(half), sender, signal)
    return { ...second, settled: half + second.settled, accepted: first.accepted + second.accepted, rejected: [...first.rejected, ...second.rejected] }
  }
}

/** What isn't ours is unavailability; only its code is told, since texts of libraries may hold addresses and headers. */
export function asDeliveryError(error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : error instanceof Error ? error.name : 'FAILED'
  return new DeliveryError('unavailable', code, `the receiver could not be reached (${code})`, undefined, { cause: error })
}

/** Milliseconds before the next try: doubling from one second to a minute, half of it by chance, at least what the receiver asked for. */
export function backoffMs(attempt: number, retryAfterMs: number | undefined, random: () => number = Math.random): number {
  const ceiling = Math.min(60_000, 1000 * 2 ** Math.min(attempt, 10))
  return Math.min(600_000, Math.max(ceiling / 2 + (ceiling / 2) * random(), retryAfterMs ?? 0))
}
