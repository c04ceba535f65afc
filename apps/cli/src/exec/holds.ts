import { asStream } from '@sallyport/api-client'
import { eventData, type ControlPlane } from '../http/control-plane.js'
import { text, type Fields } from '../http/record.js'
import { visible } from '../output/visible.js'
import type { IssuedCredential } from './issued-credential.js'

const retryMilliseconds = 2000

/**
 * Says on behalf of a client that shows nothing itself that a command of its waits, for whom and where, and how the wait
 * ended. Resolves when the signal aborts or the credential is over. What it can't learn it leaves unsaid: the command waits
 * all the same.
 */
export async function tellHolds(api: ControlPlane, credential: Pick<IssuedCredential, 'id' | 'secret'>, say: (text: string) => void, signal: AbortSignal): Promise<void> {
  const told = new Map<string, string>()
  while (!signal.aborted) {
    try {
      const { parseAs, headers } = asStream()
      const own = { params: { path: { id: credential.id } }, parseAs, headers: { ...headers, authorization: `Bearer ${credential.secret}` }, signal }
      for await (const event of eventData(api.open.GET('/v1/credentials/{id}/holds', own))) {
        const approval = text(event, 'approval')
        const state = text(event, 'state')
        if (approval === '' || told.get(approval) === state) continue
        const known = told.has(approval)
        told.set(approval, state)
        const line = lineOf(event, state, known)
        if (line !== undefined) say(line)
      }
      return
    } catch {
      await pause(retryMilliseconds, signal)
    }
  }
}

function lineOf(event: Fields, state: string, known: boolean): string | undefined {
  const who = listOf(event, 'reviewers')
  const reason = text(event, 'reason')
  const why = reason === '' ? '' : `: ${visible(reason)}`
  switch (state) {
    case 'pending':
      return `sallyport: waiting for approval by ${listOf(event, 'groups') || 'a reviewer'}, until ${text(event, 'expires_at').slice(11, 19)} UTC: ${text(event, 'url')}\n  ${visible(text(event, 'text'))}`
    case 'approved':
      return known ? `sallyport: approved${who === '' ? '' : ` by ${who}`}` : undefined
    case 'rejected':
      return known ? `sallyport: rejected${who === '' ? '' : ` by ${who}`}${why}` : undefined
    case 'expired':
      return known ? 'sallyport: nobody approved in time' : undefined
    default:
      return undefined
  }
}

function listOf(event: Fields, name: string): string {
  const value = event[name]
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string').map(visible).join(', ') : ''
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    }, { once: true })
  })
}
