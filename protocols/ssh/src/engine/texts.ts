import type { Denial, HeldNotice } from '@sallyport/kit'

/** A denial as it stands on stderr. CR LF, because a terminal may be in raw mode. */
export function denialText(denial: Denial): string {
  return lines([`Sallyport: ${denial.message}`, `Rule: ${denial.rule}`, `Hint: ${denial.hint}`])
}

/** The same in one line, for a refused channel. */
export function deniedForward(denial: Denial): string {
  return `Sallyport: ${denial.message}. Rule: ${denial.rule}. ${denial.hint}`
}

/** Said while a command waits for people. */
export function heldText(notice: HeldNotice): string {
  const wait = notice.timeoutSeconds < 120 ? `${notice.timeoutSeconds} s` : `${Math.ceil(notice.timeoutSeconds / 60)} min`
  return lines([
    `Sallyport: this waits for approval by ${notice.groups.join(', ') || 'a reviewer'} (up to ${wait}): ${notice.url}`,
    `Rule: ${notice.rule}. Approval: ${notice.approval}. Nothing has run yet; keep the connection open, or press Ctrl-C to withdraw.`,
  ])
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\r\n`).join('')
}
