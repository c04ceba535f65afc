import type { Denial, HeldNotice } from '@sallyport/kit'
import { statusObject, type StatusObject } from '../wire/status.js'
import type { UpstreamError } from './api-server.js'

/** A denial as kubectl shows it: `Error from server (Forbidden): …`. */
export function denialStatus(denial: Denial, notice: HeldNotice | undefined): StatusObject {
  const link = notice === undefined ? '' : ` See ${notice.url}.`
  return statusObject(denial.cause === 'unavailable' ? 503 : 403, `Sallyport: ${sentence(denial.message)} Rule: ${denial.rule}. ${sentence(denial.hint)}${link}`, [
    { reason: `Sallyport.${denial.cause}`, message: denial.message },
    { reason: 'Sallyport.rule', message: denial.rule },
  ])
}

export function upstreamStatus(error: UpstreamError): StatusObject {
  return statusObject(error.code === 'TARGET_TIMEOUT' ? 504 : 502, `Sallyport: ${sentence(error.message)} ${sentence(error.hint)}`, [{ reason: `Sallyport.${error.code}`, message: error.message }])
}

/** Said on a terminal or stderr while a command waits for people. CR LF, because a terminal may be in raw mode. */
export function heldText(notice: HeldNotice): string {
  const wait = notice.timeoutSeconds < 120 ? `${notice.timeoutSeconds} s` : `${Math.ceil(notice.timeoutSeconds / 60)} min`
  return [
    `Sallyport: this waits for approval by ${notice.groups.join(', ') || 'a reviewer'} (up to ${wait}): ${notice.url}`,
    `Rule: ${notice.rule}. Approval: ${notice.approval}. Nothing has run yet; keep the connection open, or press Ctrl-C to withdraw.`,
  ]
    .map((line) => `${line}\r\n`)
    .join('')
}

/** A warning as kubectl shows it with the answer (RFC 7234, section 5.5; Kubernetes: "Warnings"). */
export function warning(text: string): string {
  const printable = text.replace(/[^\x20-\x7e]/g, ' ').replace(/["\\]/g, "'")
  return `299 - "${printable.slice(0, 512)}"`
}

function sentence(text: string): string {
  return text === '' || /[.!?]$/.test(text) ? text : `${text}.`
}
