import { z } from 'zod'

const lifeMs = 10 * 60_000
export const attemptSeconds = lifeMs / 1000

const attempt = z.object({ provider: z.string(), state: z.string(), nonce: z.string(), verifier: z.string(), return: z.string(), at: z.number() })

/** What is remembered of a sign-in between leaving for the provider and coming back: in the browser, sealed. */
export type Attempt = Omit<z.infer<typeof attempt>, 'at'>

export const packed = (one: Attempt, now: number): Buffer => Buffer.from(JSON.stringify({ ...one, at: now }))

/** Undefined when it is too old, or isn't one. */
export function unpacked(data: Uint8Array, now: number): Attempt | undefined {
  const read = attempt.safeParse(JSON.parse(Buffer.from(data).toString()))
  return read.success && now - read.data.at <= lifeMs ? read.data : undefined
}

/**
 * The path on this origin to go to afterwards. What isn't plainly one becomes `/`: browsers take a backslash for a slash and drop control characters, so that
 * `/\evil` and `/<tab>/evil` lead elsewhere.
 */
export function safeReturn(asked: unknown): string {
  if (typeof asked !== 'string' || asked.length > 2000 || !/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(asked)) return '/'
  return asked.startsWith('/auth/signin') || asked.startsWith('/auth/callback') ? '/' : asked
}
